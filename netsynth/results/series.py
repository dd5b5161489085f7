"""One pooled effect after another: without each study in turn, or with one study more at each step."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from scipy.special import chdtrc

from netsynth import _format, _validate
from netsynth._typing import JSON, BoolArray, FloatArray, IntArray
from netsynth.errors import Caution
from netsynth.kernels import heterogeneity, intervals
from netsynth.kernels.intervals import CI_METHODS, PREDICTION_METHODS, CiMethod, Limits, PredictionMethod
from netsynth.kernels.scales import MEASURES, EffectMeasure
from netsynth.kernels.subsets import of_members
from netsynth.results.pooled import PooledEffect

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = [
    "PooledSeries",
    "SeriesKind",
]

SeriesKind = Literal["leave-one-out", "cumulative"]
#: What a row of each kind does with the study that it names.
DONE: Final = {"leave-one-out": "omitted", "cumulative": "added"}
_WIDTH: Final = 108  # columns of text


@dataclass(frozen=True, slots=True, eq=False)
class PooledSeries:
    """Pooled effects of subsets of the same studies, from `netsynth.leave_one_out` or `netsynth.accumulate`.

    Arrays are read-only, shape (n,), one entry a step, on the scale of `measure`.

    Attributes
    ----------
    kind : {"leave-one-out", "cumulative"}
        Whether a step omits its study from all, or adds it to those of the steps before.
    order : str
        Of the steps: "given", "precision" (smallest standard error first) or "key" (by the caller's values).
    overall : PooledEffect
        All studies together.
    study : tuple of str
        The study that each step omits or adds.
    members : ndarray of bool, shape (n, k)
        Which studies each step pools, in the order of ``overall.study``.
    estimate, se, df : ndarray
        Pooled effect, its standard error by ``overall.ci_method`` and the degrees of freedom of its interval.
        A step of one study has the study's own, and a normal interval.
    tau2 : ndarray
        Between-study variance; nan for a step of one study.
    q : ndarray
        Cochran's Q, on k - 1 degrees of freedom.
    k : ndarray of int
        Number of studies.
    warnings : tuple of Caution
        What to keep in mind.
    """

    kind: SeriesKind
    order: str
    overall: PooledEffect
    study: tuple[str, ...]
    members: BoolArray
    estimate: FloatArray
    se: FloatArray
    df: FloatArray
    tau2: FloatArray
    q: FloatArray
    k: IntArray
    warnings: tuple[Caution, ...] = ()

    @property
    def measure(self) -> EffectMeasure:
        """The scale of every number here that is not called natural."""
        return self.overall.measure

    @property
    def natural(self) -> FloatArray:
        """The estimates on the printed scale."""
        return MEASURES[self.measure].from_scale(self.estimate)

    @property
    def shift(self) -> FloatArray:
        """How far each estimate lies from that of all studies."""
        return self.estimate - self.overall.estimate

    @property
    def statistic(self) -> FloatArray:
        """Distance from no effect in standard errors; nan for probabilities, which have no such value."""
        return (self.estimate - self._null) / self.se

    @property
    def pvalue(self) -> FloatArray:
        """Two-sided p-values of no effect; nan for probabilities."""
        return intervals.two_sided_pvalue(self.statistic, self.df)

    @property
    def q_pvalue(self) -> FloatArray:
        """P-values of Q under no heterogeneity; nan for a step of one study."""
        return np.where(self.k > 1, chdtrc(np.maximum(self.k - 1, 1), self.q), np.nan)

    @property
    def h2(self) -> FloatArray:
        """H2 = Q / (k - 1); nan for a step of one study."""
        return heterogeneity.h2_from_q(self.q, (self.k - 1).astype(np.float64))

    @property
    def h2_tau2(self) -> FloatArray:
        """H2 = 1 + tau2 / typical sampling variance; nan for a step of one study."""
        return heterogeneity.h2_from_tau2(self.tau2, self._variance)

    @property
    def i2(self) -> FloatArray:
        """Shares of the variation that is heterogeneity, from Q, fractions."""
        return heterogeneity.i2_from_h2(self.h2)

    @property
    def i2_tau2(self) -> FloatArray:
        """Shares of the variation that is heterogeneity, from tau2, fractions."""
        return heterogeneity.i2_from_h2(self.h2_tau2)

    @property
    def most(self) -> str:
        """The study at whose step the estimate lies farthest from that of all studies."""
        return self.study[int(np.abs(self.shift).argmax())]

    @property
    def _null(self) -> float:
        measure = MEASURES[self.measure]
        return float(measure.to_scale(measure.null))

    @property
    def _variance(self) -> FloatArray:
        return of_members(self.overall.study_se**2, self.members)

    def confidence_interval(self, level: float = 0.95, *, method: CiMethod | None = None) -> Limits:
        """Intervals for the mean, two arrays of shape (n,), by another method than the result's own if named.

        Raises
        ------
        InvalidInputError
            As `PooledEffect.confidence_interval`.
        """
        level, se, df = _validate.level(level), self.se, self.df
        if method is not None:
            self.overall.confidence_interval(
                level, method=method
            )  # refuses what is not defined for the model
            alone = self.k == 1
            tau2 = np.where(alone, 0.0, self.tau2)
            error = CI_METHODS[method](self.overall.study_estimate, self._variance, tau2)
            se, df = np.where(alone, se, error.se), np.where(alone, df, error.df)
        return intervals.limits(self.estimate, se, df, level)

    def prediction_interval(self, level: float = 0.95, *, method: PredictionMethod | None = None) -> Limits:
        """Where the true effect of a new study may lie, two arrays of shape (n,); nan as for `PooledEffect`.

        Raises
        ------
        InvalidInputError
            As `PooledEffect.prediction_interval`.
        """
        level, method = _validate.level(level), method or self.overall.prediction_method
        if method != self.overall.prediction_method:
            self.overall.prediction_interval(
                level, method=method
            )  # refuses what is not defined for the model
        limits = np.full((2, self.estimate.size), np.nan)
        several = self.k > 1
        if several.any() and self.overall.tau2_method != "CE":
            variance = self._variance[several]
            estimate = np.broadcast_to(self.overall.study_estimate, variance.shape)
            limits[:, several] = PREDICTION_METHODS[method](estimate, variance, self.tau2[several], level)
        return Limits(limits[0], limits[1])

    def natural_interval(self, level: float = 0.95) -> Limits:
        """`confidence_interval` on the printed scale, the smaller limits first."""
        return self._natural(self.confidence_interval(level))

    def natural_prediction_interval(self, level: float = 0.95) -> Limits:
        """`prediction_interval` on the printed scale, the smaller limits first."""
        return self._natural(self.prediction_interval(level))

    def _natural(self, limits: Limits) -> Limits:
        ends = np.sort(MEASURES[self.measure].from_scale(np.stack(limits)), axis=0)
        return Limits(ends[0], ends[1])

    def side(self, level: float = 0.95) -> IntArray:
        """1 where the interval lies above no effect, -1 where below, 0 where it includes it or is undefined."""
        return _side(self.confidence_interval(level), self._null)

    def changes(self, level: float = 0.95) -> tuple[str, ...]:
        """Studies at whose step the conclusion differs from that of all studies.

        The conclusion is whether the interval lies above no effect, below it, or includes it, and on which
        side the estimate lies. Empty for probabilities, which have no value of no effect.
        """
        return self._named(self._turned(level) | self._crossed)

    def _turned(self, level: float) -> BoolArray:
        """Steps whose interval is defined and tells another story than that of all studies."""
        defined = ~np.isnan(self.confidence_interval(level).lower) & ~math.isnan(self._null)
        return np.asarray(defined & (self.side(level) != self._overall_side(level)))

    @property
    def _crossed(self) -> BoolArray:
        """Steps whose estimate lies on the other side of no effect than that of all studies."""
        return np.asarray((self.estimate - self._null) * (self.overall.estimate - self._null) < 0)

    def _overall_side(self, level: float) -> int:
        lower, upper = self.overall.confidence_interval(level)
        return int(_side(Limits(np.asarray(lower), np.asarray(upper)), self._null))

    def _named(self, steps: BoolArray) -> tuple[str, ...]:
        return tuple(study for study, taken in zip(self.study, steps, strict=True) if taken)

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row a step, in order; the columns called natural are on the printed scale."""
        import pandas as pd

        ci, pi, natural = (
            self.confidence_interval(level),
            self.prediction_interval(level),
            self.natural_interval(level),
        )
        columns = {
            "estimate": self.estimate,
            "se": self.se,
            "ci_lower": ci.lower,
            "ci_upper": ci.upper,
            "pi_lower": pi.lower,
            "pi_upper": pi.upper,
            "statistic": self.statistic,
            "pvalue": self.pvalue,
            "natural": self.natural,
            "natural_lower": natural.lower,
            "natural_upper": natural.upper,
            "tau2": self.tau2,
            "i2": self.i2,
            "i2_tau2": self.i2_tau2,
            "h2": self.h2,
            "h2_tau2": self.h2_tau2,
            "q": self.q,
            "q_pvalue": self.q_pvalue,
            "k": self.k,
        }
        return pd.DataFrame(columns, index=pd.Index(self.study, name=DONE[self.kind]))

    def to_dict(self, level: float = 0.95) -> JSON:
        """Plain dict for JSON: methods, and one dict a step with the columns of `summary_frame`."""
        return {
            "kind": self.kind,
            "order": self.order,
            "measure": self.measure,
            "tau2_method": self.overall.tau2_method,
            "ci_method": self.overall.ci_method,
            "prediction_method": self.overall.prediction_method,
            "level": level,
            "steps": _format.plain_rows(self.summary_frame(level)),
            "warnings": [str(caution) for caution in self.warnings],
        }

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Forest plot of the series; needs matplotlib."""
        from netsynth.plots.series import series_plot

        return series_plot(self, ax=ax)

    def conclusion(self, level: float = 0.95) -> str:
        """In words, whether one study decides the matter, or since when it has been decided.

        Raises
        ------
        InvalidInputError
            If the level is not a fraction.
        """
        level = _validate.level(level)
        said = self._if_omitted(level) if self.kind == "leave-one-out" else self._as_added(level)
        return " ".join(said)

    def _if_omitted(self, level: float) -> list[str]:
        said, here, most = [], self.natural, int(np.abs(self.shift).argmax())
        if not math.isnan(self.overall.pvalue):
            interval, turned = f"The {100 * level:g}% CI", self._named(self._turned(level))
            holds, instead = (
                ("excludes", "includes") if self._overall_side(level) else ("includes", "excludes")
            )
            if turned:
                each = "one study" if len(turned) == 1 else f"each of these {len(turned)} studies"
                said.append(
                    f"{interval} {holds} {self._no_effect}, but {instead} it without {_any_of(turned)}: the "
                    f"conclusion hangs on {each}."
                )
            else:
                said.append(f"{interval} {holds} {self._no_effect} whichever study is left out.")
            if self._crossed.any():
                crossing = _any_of(self._named(self._crossed))
                said.append(f"Without {crossing} the estimate lies on the other side of no effect.")
        low, high, before, after = map(
            self.overall.shown, (here.min(), here.max(), self.overall.natural, here[most])
        )
        said.append(
            f"The estimates lie between {low} and {high}; leaving out {self.most} moves it most, from {before} to "
            f"{after}."
        )
        return said

    def _as_added(self, level: float) -> list[str]:
        said, side = [], self.side(level)
        if not math.isnan(self.overall.pvalue):
            first = int(np.flatnonzero(np.append(-2, side[:-1]) != side)[-1])  # the last step that changed it
            n_studies = _format.plural(int(self.k[first]), "study", "studies")
            since = (
                f"since {self.study[first]} was added ({n_studies})" if first else "from the first study on"
            )
            said.append(
                f"The {100 * level:g}% CI has {'excluded' if side[-1] else 'included'} {self._no_effect} {since}; it "
                "is not corrected for looking after each study."
            )
        before, after = (self.overall.shown(float(value)) for value in self.natural[-2:])
        said.append(f"The last study, {self.study[-1]}, moved the estimate from {before} to {after}.")
        return said

    @property
    def _no_effect(self) -> str:
        return f"{MEASURES[self.measure].null:g} (no effect)"

    def _header(self) -> tuple[str, ...]:
        return (DONE[self.kind], "k", "estimate", "95% CI", "95% PI", "p", "tau2", "I2")

    def _rows(self) -> list[tuple[str, ...]]:
        show = self.overall.shown
        ci, pi = self.natural_interval(), self.natural_prediction_interval()
        values = zip(self.study, self.k, self.natural, *ci, *pi, self.pvalue, self.tau2, self.i2, strict=True)
        rows: list[tuple[str, ...]] = [
            (
                study,
                str(k),
                show(natural),
                _bracket(show(ci_lower), show(ci_upper), ci_lower),
                _bracket(show(pi_lower), show(pi_upper), pi_lower),
                _p(p),
                "" if math.isnan(tau2) or self.overall.tau2_method == "CE" else _format.significant(tau2),
                "" if math.isnan(i2) else f"{100 * i2:.0f}%",
            )
            for study, k, natural, ci_lower, ci_upper, pi_lower, pi_upper, p, tau2, i2 in values
        ]
        if self.kind == "leave-one-out":
            rows.append(_overall_row(self.overall))
        return rows

    def _title(self) -> str:
        model = str(self.overall).partition("\n")[0]
        if self.kind == "leave-one-out":
            return f"Leave one out: {model}"
        by = {"given": "in the order given", "precision": "most precise first", "key": "in order of the key"}
        return f"Cumulative, {by[self.order]}: {model}"

    def __str__(self) -> str:
        lines = [self._title()]
        lines += [f"  {line}" for line in _format.text_table(self._header(), self._rows()).splitlines()]
        lines += textwrap.wrap(self.conclusion(), _WIDTH, initial_indent="  ", subsequent_indent="  ")
        return "\n".join([*lines, *(f"  {caution}" for caution in self.warnings)])

    def _repr_html_(self) -> str:
        return _format.html_table(self._header(), self._rows(), caption=self._title())


def _side(interval: Limits, null: float) -> IntArray:
    return np.asarray((interval.lower > null).astype(np.int64) - (interval.upper < null))


def _any_of(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _overall_row(effect: PooledEffect) -> tuple[str, ...]:
    show, ci, pi = effect.shown, effect.natural_interval(), effect.natural_prediction_interval()
    return (
        "none",
        str(effect.k),
        show(effect.natural),
        _bracket(show(ci.lower), show(ci.upper), ci.lower),
        _bracket(show(pi.lower), show(pi.upper), pi.lower),
        _p(effect.pvalue),
        "" if effect.tau2_method == "CE" else _format.significant(effect.tau2),
        f"{100 * effect.i2:.0f}%",
    )


def _bracket(lower: str, upper: str, end: float) -> str:
    return "" if math.isnan(end) else f"[{lower}, {upper}]"


def _p(value: float) -> str:
    return "" if math.isnan(value) else _format.pvalue(value).removeprefix("p ").removeprefix("= ")
