"""Other packages for modelling, behind one door: imported when a function needs them, typed results out."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from netsynth._typing import FloatArray, IntArray
from netsynth.errors import InvalidInputError
from netsynth.kernels.censored_fits import Location

INTERCEPT = "intercept"


@dataclass(frozen=True, slots=True, eq=False)
class FormulaCoding:
    """A design matrix by a formula, kept so that new values are coded as the first ones were.

    Attributes
    ----------
    formula : str
        As it was given.
    names : tuple of str
        Of the columns; that of ones is called "intercept".
    terms : mapping of str to tuple of int
        Which columns each term of the formula made, without the intercept.
    variables : tuple of str
        The moderators that the formula uses.
    levels : mapping of str to tuple of str
        For each moderator made of words, the words it may have, the reference first.
    """

    formula: str
    names: tuple[str, ...]
    terms: Mapping[str, tuple[int, ...]]
    variables: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]]
    _spec: Any

    def matrix(self, columns: Mapping[str, npt.NDArray[Any]]) -> FloatArray:
        """Design matrix of shape (n, p) for n values of each moderator."""
        return _evaluate(self.formula, self._spec, _frame(columns, self.levels))[0]


def formula_coding(
    formula: str, columns: Mapping[str, npt.NDArray[Any]], levels: Mapping[str, tuple[str, ...]]
) -> FormulaCoding:
    """How a formula such as "~ year + C(design)" codes moderators, found from their values.

    Raises
    ------
    InvalidInputError
        If the formula has a left side, cannot be read, or uses what is not among the columns.
    """
    from formulaic import Formula

    with _complaints(formula):
        parsed = Formula(_right_side(formula))
    _, spec = _evaluate(formula, parsed, _frame(columns, levels))
    names = tuple(INTERCEPT if name == "Intercept" else str(name) for name in spec.column_names)
    terms = {str(term): tuple(places) for term, places in spec.term_indices.items() if str(term) != "1"}
    return FormulaCoding(formula, names, MappingProxyType(terms), tuple(columns), levels, spec)


def formula_variables(formula: str, names: Iterable[str]) -> tuple[str, ...]:
    """Those of some names that stand in a formula.

    Raises
    ------
    InvalidInputError
        If the formula does not begin with its tilde.
    """
    right = _right_side(formula)
    return tuple(name for name in names if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", right))


def _right_side(formula: str) -> str:
    left, tilde, right = formula.partition("~")
    if left.strip() or not tilde or "|" in right:
        raise InvalidInputError(
            f"A formula names moderators after a tilde, such as '~ year + C(design)'; got {formula!r}."
        )
    return right


def _frame(columns: Mapping[str, npt.NDArray[Any]], levels: Mapping[str, tuple[str, ...]]) -> Any:
    import pandas as pd

    return pd.DataFrame(
        {
            name: pd.Categorical(values, categories=list(levels[name])) if name in levels else values
            for name, values in columns.items()
        }
    )


def _evaluate(formula: str, source: Any, frame: Any) -> tuple[FloatArray, Any]:
    """Values of a formula, or of the specification made of it, and that specification."""
    # the logarithm of zero and its like are refused later, by the name of the study
    with _complaints(formula), np.errstate(all="ignore"):
        matrix = source.get_model_matrix(frame, na_action="ignore")
    return np.asarray(matrix, dtype=np.float64), matrix.model_spec


@contextmanager
def _complaints(formula: str) -> Iterator[None]:
    """Turn formulaic's errors, and its warning about a level not seen before, into an error of ours."""
    from formulaic.errors import DataMismatchWarning, FormulaicError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DataMismatchWarning)
            yield
    except (FormulaicError, DataMismatchWarning) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise InvalidInputError(f"The formula {formula!r} cannot be evaluated: {reason}.") from None


def kaplan_meier_fitter(time: FloatArray, event: IntArray, *, label: str) -> Any:
    """A fitted `lifelines.KaplanMeierFitter`."""
    from lifelines import KaplanMeierFitter

    return KaplanMeierFitter(label=label).fit(time, event)


def weibull_fitter(time: FloatArray, event: IntArray, *, label: str) -> Any:
    """A fitted `lifelines.WeibullFitter`."""
    from lifelines import WeibullFitter

    return WeibullFitter(label=label).fit(time, event)


def cox_fitter(time: FloatArray, event: IntArray, other_time: FloatArray, other_event: IntArray) -> Any:
    """A fitted `lifelines.CoxPHFitter` of two groups; its one covariate, `group`, is 1 for the first."""
    import pandas as pd
    from lifelines import CoxPHFitter

    frame = pd.DataFrame(
        {
            "time": np.concatenate([time, other_time]),
            "event": np.concatenate([event, other_event]),
            "group": np.repeat([1.0, 0.0], [time.size, other_time.size]),
        }
    )
    return CoxPHFitter().fit(frame, duration_col="time", event_col="event")


def location_fitter(family: Location, time: FloatArray, event: IntArray, *, label: str) -> Any:
    """A fitted `lifelines` fitter of an exponential, Weibull, log-logistic or log-normal curve."""
    import lifelines

    names: dict[Location, str] = {
        "exponential": "ExponentialFitter",
        "weibull": "WeibullFitter",
        "loglogistic": "LogLogisticFitter",
        "lognormal": "LogNormalFitter",
    }
    return getattr(lifelines, names[family])(label=label).fit(time, event)


def stratified_cox_fitter(frame: Any) -> Any:
    """A fitted `lifelines.CoxPHFitter` with a baseline for each study.

    The frame has the columns study, time_months, event and `group`, the one covariate.
    """
    from lifelines import CoxPHFitter

    return CoxPHFitter().fit(frame, duration_col="time_months", event_col="event", strata="study")
