"""The worked diff in CONTRIBUTING.md can be applied to the code as it stands, and then does what is said."""

import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import netsynth

ROOT = Path(netsynth.__file__).parents[1]  # the package is whole before one of its modules is replaced
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def applied(diff: str) -> dict[str, str]:
    """Text of every file that a diff names, after the diff; hunks are found by what they say, not by line."""
    after = {}
    for part in re.split(r"(?m)^--- a/", diff)[1:]:
        name = part.split("\n", 1)[0]
        after[name] = (ROOT / name).read_text(encoding="utf-8")
        for hunk in re.split(r"(?m)^@@.*\n", part)[1:]:
            lines = hunk.splitlines(keepends=True)
            old = "".join(line[1:] for line in lines if line[0] in " -")
            new = "".join(line[1:] for line in lines if line[0] in " +")
            assert after[name].count(old) == 1, f"CONTRIBUTING.md: not once in {name}:\n{old}"
            after[name] = after[name].replace(old, new)
    return after


@pytest.fixture
def patched(monkeypatch):
    (diff,) = re.findall(r"(?ms)^```diff\n(.*?)^```$", TEXT)
    kernel, tests = applied(diff).values()
    module = ModuleType("netsynth.kernels.tau2")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(kernel, module.__dict__)  # noqa: S102 - our own text
    scope = {"__name__": "test_tau2", "__file__": str(ROOT / "tests" / "kernels" / "t.py")}
    exec(tests, scope)  # noqa: S102
    return module, scope


def test_the_new_test_passes(patched):
    _, scope = patched
    scope["test_hm_is_dl_with_q_squared_for_its_excess"]()
    scope["test_every_name_is_reachable"]()


def test_the_new_estimator_is_right(patched):
    # equal variances of 1 and effects 0 and 4: Q = 8, C = 1, k - 1 = 1, so 64 / (2 + 8)
    module, _ = patched
    got = module.TAU2_ESTIMATORS["HM"](np.array([0.0, 4.0]), np.array([1.0, 1.0]))
    assert got.tau2 == pytest.approx(6.4)
