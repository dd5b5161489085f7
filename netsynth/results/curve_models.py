"""Families behind a reconstructed curve, as frames and in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from netsynth import _format
from netsynth._typing import FloatArray
from netsynth.kernels.curves import Curve
from netsynth.kernels.grouped import GroupedFit
from netsynth.kernels.model_average import (
    ModelName,
    akaike_weights,
    candidates,
    criteria,
    family,
    fit_all,
    n_parameters,
    weights,
)
from netsynth.kernels.reconstruction import Figures, Method, Tail

if TYPE_CHECKING:
    import pandas as pd

    from netsynth.results.curve import SurvivalCurve

#: How every method is called in a sentence.
NAMES: Final[Mapping[Method, str]] = MappingProxyType(
    {
        "pchip": "monotone cubic cumulative hazard",
        "piecewise_exponential": "piecewise exponential",
        "exponential": "exponential",
        "weibull": "Weibull",
        "lognormal": "log-normal",
        "loglogistic": "log-logistic",
        "gamma": "gamma",
        "generalized_gamma": "generalised gamma",
        "gompertz": "Gompertz",
        "royston_parmar": "Royston-Parmar spline",
        "average": "average of families",
        "blend": "blend of families",
    }
)
FEWEST_AT_RISK: Final = 10  # who carry a plateau


class Plateau(NamedTuple):
    """Survival that does not fall from one landmark to the last, and who is still at risk there."""

    survival: float
    start_months: float
    stop_months: float
    n_at_risk: int


def plateau(
    time: FloatArray, lower: FloatArray, upper: FloatArray, survival: FloatArray, n_at_risk: FloatArray
) -> Plateau | None:
    """The plateau at the end of a report: the last percentages agree within their rounding."""
    if time.size < 2 or not n_at_risk[-1] >= FEWEST_AT_RISK or not 0 < survival[-1] < 1:
        return None
    same = (lower <= upper[-1]) & (upper >= lower[-1])
    first = int(np.flatnonzero(~same)[-1]) + 1 if not same.all() else 0
    if first == time.size - 1:
        return None
    return Plateau(float(survival[-1]), float(time[first]), float(time[-1]), int(n_at_risk[-1]))


def tail_name(tail: Tail) -> str:
    """A tail in a sentence, with its article."""
    name = "averaged" if tail == "average" else NAMES[tail]
    return f"{'an' if name[0].lower() in 'aeio' else 'a'} {name} tail"


def tail_levels_off(tail: Tail, fits: Mapping[ModelName, GroupedFit], curve: Curve, last: float) -> float:
    """Survival at which a Gompertz tail levels off; 0 when it does not."""
    if tail != "gompertz" or not fits["gompertz"].theta[1] < 0:
        return 0.0
    return float(np.exp(-curve.cumulative_hazard(np.array([1e6 * last])))[0])


def models_frame(figures: Figures, fits: Mapping[ModelName, GroupedFit], *, has_size: bool) -> pd.DataFrame:
    """One row a family that the figures can determine, best first."""
    import pandas as pd

    names = candidates(figures.n_figures)
    found = {
        name: fits[name] if name in fits else fit_all((name,), figures.fragments)[name] for name in names
    }
    parameters = []
    for name, fit in found.items():
        kind = family(name, figures.fragments.time)
        parameters.append(dict(zip(kind.parameters, kind.natural(fit.theta).tolist(), strict=True)))
    columns = {
        "n_parameters": [n_parameters(name) for name in names],
        "parameters": parameters,
        "log_likelihood": [float(fit.log_likelihood) for fit in found.values()],
        "converged": [bool(fit.converged) for fit in found.values()],
    }
    frame = pd.DataFrame(columns, index=pd.Index(names, name="family"))
    if found:
        scores = criteria(found, figures.fragments)
        frame["deviance"], frame["aic"], frame["aicc"], frame["bic"] = scores
        frame["df"] = figures.time.size - frame["n_parameters"]
        frame["weight"] = akaike_weights(scores.aic)
        frame = frame.sort_values("aic", kind="stable")
        if not has_size:
            frame[["log_likelihood", "deviance", "aic", "aicc", "bic", "weight"]] = math.nan
    order = [
        "n_parameters",
        "parameters",
        "log_likelihood",
        "deviance",
        "df",
        "aic",
        "aicc",
        "bic",
        "weight",
        "converged",
    ]
    return frame.reindex(columns=order)


def misfit_frame(curve: SurvivalCurve) -> pd.DataFrame:
    """How far a curve misses each printed percentage."""
    import pandas as pd

    fitted = curve.survival(curve.landmark_months)
    misfit = fitted - np.clip(fitted, curve.survival_lower, curve.survival_upper)
    with np.errstate(divide="ignore", invalid="ignore"):
        in_se = misfit / curve.se
    return pd.DataFrame(
        {
            "landmark_months": curve.landmark_months,
            "survival": curve.landmark_survival,
            "survival_lower": curve.survival_lower,
            "survival_upper": curve.survival_upper,
            "fitted": fitted,
            "misfit": misfit,
            "se": curve.se,
            "misfit_se": in_se,
        }
    )


def fit_lines(
    method: Method, figures: Figures, fits: Mapping[ModelName, GroupedFit], *, has_size: bool
) -> list[str]:
    """Parameters and deviance of one family, or the weights of many."""
    if method in ("average", "blend"):
        shown = [(w, name) for name, w in zip(fits, weights(fits).tolist(), strict=True) if w >= 0.005]
        words = [f"{NAMES[name]} {_format.number(100 * w, 0)}%" for w, name in sorted(shown, reverse=True)]
        return [f"weights: {', '.join(words)}"]
    name = next(name for name in fits if name == method)
    fit = fits[name]
    kind = family(name, figures.fragments.time)
    natural = zip(kind.parameters, kind.natural(fit.theta).tolist(), strict=True)
    line = ", ".join(f"{parameter} {_format.significant(value)}" for parameter, value in natural)
    df = figures.time.size - n_parameters(name)
    if has_size and df > 0:
        deviance = float(criteria({name: fit}, figures.fragments).deviance[0])
        line += f"; deviance {_format.number(deviance, 2)} on {df} df"
    return [line]
