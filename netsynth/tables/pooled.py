"""Tables of pooled effects: one row an effect, or one row a study of one effect."""

from __future__ import annotations

import math
from collections.abc import Mapping

from netsynth import _format, _validate
from netsynth._typing import Interval
from netsynth.errors import InvalidInputError
from netsynth.kernels.scales import MEASURES
from netsynth.results.counts import PooledCounts
from netsynth.results.pooled import PooledEffect
from netsynth.tables.table import Column, Table

__all__ = ["pooled_table", "weights_table"]


def pooled_table(effects: Mapping[str, PooledEffect], *, level: float = 0.95) -> Table:
    """Pooled effects, one row each.

    Parameters
    ----------
    effects : mapping of str to PooledEffect
        The label of each row and its effect.
    level : float
        Level of the intervals.

    Returns
    -------
    Table
        Estimate, confidence and prediction interval on the printed scale, tau2 on the scale of pooling, I2, and
        the methods.

    Raises
    ------
    InvalidInputError
        If there is no effect, or the level is not a fraction.

    Examples
    --------
    >>> from netsynth.pool import pool_effects
    >>> effect = pool_effects([0.5, 0.1, 0.3], se=[0.2, 0.1, 0.15], measure="log_hr")
    >>> table = pooled_table({"Grade": effect})
    >>> [column.header for column in table.columns][:4]
    ['Outcome', 'Studies', 'Estimate', '95% CI']
    """
    _validate.level(level)
    if not effects:
        raise InvalidInputError("A table of pooled effects needs at least one.")
    percent = f"{100 * level:g}%"
    columns = (
        Column("Outcome"),
        Column("Studies", "right"),
        Column("Estimate", "decimal"),
        Column(f"{percent} CI"),
        Column(f"{percent} prediction interval"),
        Column("τ²", "decimal"),
        Column("I²", "right"),
        Column("Q test"),
        Column("Scale"),
        Column("Method"),
    )
    rows = [
        (
            label,
            str(effect.k),
            effect.shown(effect.natural),
            _span(effect, effect.natural_interval(level)),
            _span(effect, effect.natural_prediction_interval(level)),
            "" if math.isnan(effect.tau2) else _format.significant(effect.tau2),
            f"{100 * effect.i2:.0f}%" if effect.pooled else "",
            _format.pvalue(effect.q_pvalue) if effect.pooled else "",
            _scale(effect),
            _method(effect),
        )
        for label, effect in effects.items()
    ]
    notes = (
        "Estimates and intervals are on the printed scale, τ² on the scale of pooling. "
        "Method: the model where it is one of counts, estimator of τ², confidence interval.",
    )
    return Table.filled("Pooled effects", columns, rows, notes)


def weights_table(effect: PooledEffect, *, level: float = 0.95) -> Table:
    """One pooled effect, one row a study and the last row the pooled value: the numbers of a forest plot.

    Parameters
    ----------
    effect : PooledEffect
        From `pool_effects` and its siblings.
    level : float
        Level of the intervals.

    Returns
    -------
    Table
        Estimate and confidence interval on the printed scale, and the weight, or the counts where a model has none.

    Raises
    ------
    InvalidInputError
        If the level is not a fraction.

    Examples
    --------
    >>> from netsynth.pool import pool_effects
    >>> effect = pool_effects(
    ...     [0.5, 0.1, 0.3], se=[0.2, 0.1, 0.15], measure="log_hr", study=["A", "B", "C"],
    ...     tau2_method="CE", ci_method="wald",
    ... )
    >>> print(weights_table(effect))
    Hazard ratio, common effect, CI by wald, 3 studies
    <BLANKLINE>
    Study   Hazard ratio  95% CI     Weight
    ------  ------------  ---------  ------
    A               1.65  1.11–2.44   14.8%
    B               1.11  0.91–1.34   59.0%
    C               1.35  1.01–1.81   26.2%
    Pooled          1.24  1.06–1.44
    """
    limits = effect.natural_study_interval(level)
    if isinstance(effect, PooledCounts):
        heading, weights = "Events/time" if effect.is_rate else "Events/total", effect.counts()
    else:
        heading, weights = "Weight", tuple(f"{100 * weight:.1f}%" for weight in effect.weight)
    rows = [
        (
            study,
            effect.shown(float(value)),
            _span(effect, Interval(float(low), float(high))),
            weight,
        )
        for study, value, low, high, weight in zip(
            effect.study, effect.study_natural, limits.lower, limits.upper, weights, strict=True
        )
    ]
    if effect.pooled:
        rows.append(
            ("Pooled", effect.shown(effect.natural), _span(effect, effect.natural_interval(level)), "")
        )
        prediction = effect.natural_prediction_interval(level)
        if not math.isnan(prediction.lower):
            rows.append(("Prediction", "", _span(effect, prediction), ""))
    if isinstance(effect, PooledCounts):
        model = f"{effect.model_in_words}, ML"
    else:
        model = (
            "common effect" if effect.tau2_method == "CE" else f"random effects, τ² by {effect.tau2_method}"
        )
    how = f"{model}, CI by {effect.ci_method}" if effect.pooled else "not pooled"
    title = f"{effect.label}, {how}, {_format.plural(effect.k, 'study', 'studies')}"
    columns = (
        Column("Study"),
        Column(effect.label, "decimal"),
        Column(f"{100 * level:g}% CI"),
        Column(heading, "decimal" if heading == "Weight" else "right"),
    )
    return Table(title, columns, tuple(rows))


def _span(effect: PooledEffect, interval: Interval) -> str:
    if math.isnan(interval.lower):
        return ""
    low, high = map(effect.shown, interval)
    if low.endswith("%"):
        return _format.span(low.removesuffix("%"), high)
    return _format.span(low, high)


def _method(effect: PooledEffect) -> str:
    if not effect.pooled:
        return "one study"
    model = [effect.model_in_words] if isinstance(effect, PooledCounts) else []
    return ", ".join([*model, effect.tau2_method, effect.ci_method])


def _scale(effect: PooledEffect) -> str:
    measure = MEASURES[effect.measure]
    return "" if measure.kind == "difference" else measure.scale
