"""The API reference shows every public name. That pages build and examples run is tested elsewhere."""

import importlib
import re
from pathlib import Path
from types import ModuleType

import netsynth

ROOT = Path(__file__).parents[1]
PAGES = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs" / "api").glob("*.md")))
MODULES = re.findall(r"(?m)^\.\. automodule:: (\S+)$", PAGES)


def shown() -> set[int]:
    """Identity of everything that an automodule directive shows: what the module exports, and itself."""
    objects: list[object] = []
    for name in MODULES:
        module = importlib.import_module(name)
        exported = getattr(module, "__all__", None) or [n for n in vars(module) if not n.startswith("_")]
        objects += [module, *(getattr(module, name) for name in exported)]
    return {id(thing) for thing in objects}


def test_every_public_name_is_in_the_reference():
    known = shown()
    missing = []
    for name in netsynth.__all__:
        thing = getattr(netsynth, name)
        origin = (
            thing.__name__ if isinstance(thing, ModuleType) else getattr(thing, "__module__", "its module")
        )
        if id(thing) not in known:
            missing.append(f"{name}: add `.. automodule:: {origin}` to a page in docs/api")
    assert missing == []


def test_every_kernel_is_in_the_reference():
    kernels = {f"netsynth.kernels.{path.stem}" for path in (ROOT / "netsynth" / "kernels").glob("[!_]*.py")}
    assert kernels - set(MODULES) == set()


def test_no_module_is_shown_twice():
    assert len(MODULES) == len(set(MODULES))
