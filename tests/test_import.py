"""What `import netsynth` brings: the public names, quickly, and nothing else."""

import importlib.metadata
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import netsynth

ROOT = Path(__file__).parents[1]
HEAVY = ("pandas", "matplotlib", "lifelines", "statsmodels", "formulaic", "narwhals", "openpyxl")
HEAVY_SCIPY = ("scipy.stats", "scipy.optimize", "scipy.interpolate", "scipy.integrate")


def loaded_after(statement: str) -> set[str]:
    """Modules that a fresh interpreter holds after the statement."""
    script = f"{statement}\nimport sys\nprint(*sys.modules)"
    run = subprocess.run(  # noqa: S603 - our own interpreter on our own text
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )
    return set(run.stdout.split())


def test_nothing_heavy_is_loaded():
    loaded = loaded_after("import netsynth\nfrom netsynth import *")
    assert "netsynth" in loaded
    assert loaded.isdisjoint({*HEAVY, *HEAVY_SCIPY})


def test_a_heavy_package_would_be_seen():
    assert not loaded_after("import netsynth, scipy.stats").isdisjoint(HEAVY_SCIPY)


def test_only_public_names_are_shown():
    assert dir(netsynth) == sorted(netsynth.__all__)
    assert [name for name in dir(netsynth) if name.startswith("_")] == []


def test_every_public_name_is_there():
    missing = [name for name in netsynth.__all__ if not hasattr(netsynth, name)]
    assert missing == []
    assert len(set(netsynth.__all__)) == len(netsynth.__all__)


def test_types_are_shipped():
    assert files("netsynth").joinpath("py.typed").is_file()


def test_the_version_is_said_once():
    reinstall = "the version changed after installation: touch pyproject.toml, then run make again"
    assert importlib.metadata.version("netsynth") == netsynth.__version__, reinstall
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^version: (\S+)$", citation) == [netsynth.__version__]
