"""For tests and doctests alike: the package is imported once, and figures are closed."""

import sys

import pytest

import netsynth  # noqa: F401 - before a file of it is collected by its path and becomes a second module


@pytest.fixture(autouse=True)
def _figures_are_closed():
    """Doctests of plots leave their figures open."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
