"""An analysis of several outcomes in words, in the table of a notebook, and as columns of numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from netsynth import _format
from netsynth._typing import FloatArray
from netsynth.kernels.covariance_structures import CovarianceStructure
from netsynth.kernels.scales import MEASURES

if TYPE_CHECKING:
    from netsynth.results.multivariate import MultivariateEffect

#: Structures in words.
SHAPES: Final[Mapping[CovarianceStructure, str]] = MappingProxyType(
    {
        "unstructured": "unstructured",
        "diagonal": "diagonal",
        "identity": "identity",
        "compound_symmetry": "compound symmetry",
        "heterogeneous_cs": "heterogeneous compound symmetry",
        "ar1": "AR(1)",
        "heterogeneous_ar1": "heterogeneous AR(1)",
    }
)
#: Up to so many outcomes the correlations of all pairs are printed.
_FEW = 3


def lines(effect: MultivariateEffect) -> str:
    """What was pooled and how, a line a coefficient, heterogeneity, what was assumed, and warnings."""
    header = ("", "estimate", "95% CI", "95% PI", "tau", "studies")
    text = [title(effect)]
    text += [f"  {line}" for line in _format.text_table(header, _rows(effect)).splitlines()]
    correlation = effect.correlation
    pairs = [
        f"{effect.outcomes[i]} and {effect.outcomes[j]} {_format.number(correlation[i, j], 2)}"
        for i in range(effect.p)
        for j in range(i + 1, effect.p)
        if not math.isnan(correlation[i, j])  # what does not vary hangs together with nothing
    ]
    if effect.method != "CE" and effect.p <= _FEW and pairs:
        text.append(f"  correlation between studies: {', '.join(pairs)}")
    q_test = f"Q {_format.number(effect.q, 2)} on {effect.df_q} df, {_format.pvalue(effect.q_pvalue)}"
    text.append(f"  I2 {100 * effect.i2:.0f}%   {q_test}")
    if effect.p > 1:
        text.append(f"  correlation within studies: {effect.within}")
    return "\n".join([*text, *(f"  {caution}" for caution in effect.warnings)])


def html(effect: MultivariateEffect) -> str:
    """The coefficients as a table."""
    header = ("term", "estimate", "95% CI", "95% PI", "tau", "studies")
    return _format.html_table(header, _rows(effect), caption=title(effect))


def columns(effect: MultivariateEffect, level: float) -> dict[str, FloatArray]:
    """Unrounded numbers of each coefficient by name; nan for a slope where only an outcome has one."""
    ci, pi = effect.confidence_interval(level), effect.prediction_interval(level)
    blank = np.full(effect.coefficient.size - effect.p, np.nan)

    def of_outcomes(values: npt.ArrayLike) -> FloatArray:
        return np.append(values, blank)

    measure = MEASURES[effect.measure]
    ends = np.sort(measure.from_scale(np.stack([end[: effect.p] for end in ci])), axis=0)
    return {
        "estimate": effect.coefficient,
        "se": effect.se,
        "ci_lower": ci.lower,
        "ci_upper": ci.upper,
        "pi_lower": of_outcomes(pi.lower),
        "pi_upper": of_outcomes(pi.upper),
        "pvalue": effect.pvalue,
        "natural": of_outcomes(effect.natural),
        "natural_lower": of_outcomes(ends[0]),
        "natural_upper": of_outcomes(ends[1]),
        "tau2": of_outcomes(effect.tau2),
        "i2_r": of_outcomes(effect.i2_r_outcome),
        "q": of_outcomes(effect.q_outcome),
        "q_pvalue": of_outcomes(effect.q_outcome_pvalue),
        "borrowing_of_strength": of_outcomes(effect.borrowing_of_strength),
        "k": of_outcomes(effect.n_studies),
    }


def title(effect: MultivariateEffect) -> str:
    """What was pooled, and how."""
    measure = MEASURES[effect.measure]
    label = f"{measure.label} ({measure.scale} scale)" if measure.kind == "probability" else measure.label
    if measure.kind == "difference" and measure.unit:
        label = f"{label}, {measure.unit}"
    if effect.subject:
        label = f"{label}, {effect.subject}"
    shape = SHAPES[effect.structure]
    model = "common effect" if effect.method == "CE" else f"random effects, {shape} by {effect.method}"
    outcomes = _format.plural(effect.p, "outcome")
    return f"{label}, {outcomes}, {model}, CI by {effect.ci_method}, k = {effect.k}"


def shown(effect: MultivariateEffect, natural: float) -> str:
    """A value on the printed scale as text shows it: "0.75", "72.4%", and "9.93" for 9.93 percent points."""
    measure = MEASURES[effect.measure]
    if measure.is_ratio:
        return _format.ratio(natural)
    if measure.kind == "probability":
        return f"{_format.number(measure.factor * natural, 1)}%"
    return _format.significant(measure.factor * natural)


def on_scale(effect: MultivariateEffect, values: npt.ArrayLike) -> FloatArray:
    """Slopes and deviations as they are printed: on the scale of pooling, differences in their unit."""
    measure = MEASURES[effect.measure]
    return (measure.factor if measure.kind == "difference" else 1.0) * np.asarray(values)


def span(effect: MultivariateEffect, low: float, high: float) -> str:
    """Two limits on the scale as text shows them on the printed one; "undefined" for nan."""
    if math.isnan(low):
        return "undefined"
    ends = np.sort(MEASURES[effect.measure].from_scale(np.array([low, high])))
    return f"[{shown(effect, float(ends[0]))}, {shown(effect, float(ends[1]))}]"


def _rows(effect: MultivariateEffect) -> list[tuple[str, ...]]:
    ci, pi = effect.confidence_interval(), effect.prediction_interval()
    tau, slopes, *ends = (on_scale(effect, each) for each in (effect.tau, effect.coefficient, *ci))
    rows: list[tuple[str, ...]] = []
    for i, term in enumerate(effect.terms):
        if i < effect.p:
            estimate = shown(effect, float(effect.natural[i]))
            interval = span(effect, float(ci.lower[i]), float(ci.upper[i]))
            studies = str(effect.n_studies[i])
            if effect.method == "CE":
                rows.append((term, estimate, interval, "", "", studies))
            else:
                prediction = span(effect, float(pi.lower[i]), float(pi.upper[i]))
                rows.append(
                    (term, estimate, interval, prediction, _format.significant(float(tau[i])), studies)
                )
        else:  # a slope is on the scale of pooling
            slope, low, high = (_format.significant(float(each[i])) for each in (slopes, *ends))
            rows.append((term, slope, f"[{low}, {high}]", "", "", ""))
    return rows
