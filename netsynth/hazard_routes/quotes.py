"""What a caller gave, word for word, and which of it a way starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np

from netsynth.results.hazard_ratio import RouteName

#: Arguments that are described by what was read, not quoted: they are objects.
_OBJECTS: Final = ("curves",)
_RATIO: Final = (("hazard_ratio",), ("ci",), ("level",))
_PVALUE: Final = (("pvalue", "hazard_ratio"), ("one_sided",))
#: Where no number of events is given it is the sum of the observed ones.
_TOTAL: Final = (("n_events", "observed"),)
_PATIENTS: Final = (*_TOTAL, ("n_total",))
_SIDE: Final = (("direction", "hazard_ratio", "o_minus_e", "observed", "rmst_difference"),)
_EXCESS: Final = (("o_minus_e", "observed"), ("o_minus_e", "expected"), ("log_rank_variance", "chi2"))
#: Each way with what it starts from; of alternatives the first that was given.
_STARTS: Final[Mapping[RouteName, tuple[tuple[str, ...], ...]]] = MappingProxyType(
    {
        "confidence interval": _RATIO,
        "upper limit": _RATIO,
        "lower limit": _RATIO,
        "p-value": (("hazard_ratio",), *_PVALUE),
        "bound on the p-value": (("hazard_ratio",), *_PVALUE),
        "observed minus expected": _EXCESS,
        "ratio and events by arm": (("hazard_ratio",), *_TOTAL),
        "ratio, events and patients": (("hazard_ratio",), *_PATIENTS),
        "ratio and events": (("hazard_ratio",), *_TOTAL),
        "chi-squared and events by arm": (("chi2",), *_TOTAL, *_SIDE),
        "chi-squared, events and patients": (("chi2",), *_PATIENTS, *_SIDE),
        "chi-squared and events": (("chi2",), *_TOTAL, *_SIDE),
        "p-value and events by arm": (*_PVALUE, *_TOTAL, *_SIDE),
        "p-value, events and patients": (*_PVALUE, *_PATIENTS, *_SIDE),
        "p-value and events": (*_PVALUE, *_TOTAL, *_SIDE),
        "follow-up": (("n_total",), ("follow_up_months",)),
        "observed over expected": (("observed",), ("expected",)),
        "restricted means": (("rmst_difference",), ("rmst_se",), *_PATIENTS),
        "medians": (("medians",), ("median_cis", "n_events", "observed")),
    }
)


def quotes_of(arguments: Mapping[str, object]) -> Mapping[str, str]:
    """Each argument that was given, as it was given."""
    return {
        name: _shown(value)
        for name, value in arguments.items()
        if value is not None and value is not False and name not in _OBJECTS
    }


def verbatim(name: RouteName, quotes: Mapping[str, str]) -> str:
    """What a way starts from, as it was given; empty for what was no argument.

    Examples
    --------
    >>> verbatim("p-value and events", {"pvalue": '"P=.00004"', "n_events": "30", "direction": '"better"'})
    'pvalue "P=.00004", n_events 30, direction "better"'
    """
    found = []
    for alternatives in _STARTS.get(name, ()):
        taken = next((each for each in alternatives if each in quotes), None)
        if taken is not None and taken not in found:
            found.append(taken)
    return ", ".join(f"{each} {quotes[each]}" for each in found)


def _shown(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, Sequence | np.ndarray):
        return f"({', '.join(map(_shown, value))})"
    return str(value)
