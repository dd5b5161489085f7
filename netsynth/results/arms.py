"""Arms of one figure compared: effects, tests, and what the paper prints of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import JSON, FloatArray, Interval
from netsynth.errors import Caution
from netsynth.kernels import intervals, rubin, two_arms
from netsynth.kernels.two_arms import RiskSets
from netsynth.results.arm_checks import Constraint, PrintedCheck
from netsynth.results.arm_effects import ArmEffect, ArmLogRank, arm_difference, sets_of, stacked
from netsynth.results.ensemble import PseudoEnsemble
from netsynth.results.ipd import PseudoIPD

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["ArmComparison", "ArmComparisons"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ArmComparison:
    """Two arms compared, as made by `netsynth.compare_arms`: treated against control.

    Attributes
    ----------
    treated, control : PseudoIPD
        The reconstructed patients.
    treated_draws, control_draws : PseudoEnsemble
        The data sets that were analysed, in pairs; for analyses of one's own with `PseudoEnsemble.combine`.
    log_hr : ArmEffect
        Cox's log hazard ratio, Efron's way with ties; infinite when one arm has all the events, and then without a
        standard error: ask `hazard_ratio_interval`.
    log_rank : ArmLogRank
        The log-rank test.
    trend : ArmEffect
        Test of proportional hazards: change of the log hazard ratio from the first event to when all have had it.
    horizon : float
        Up to when the mean of survival time is taken.
    rmst_difference, rmst_ratio : ArmEffect
        Of the restricted means.
    landmarks : tuple of float
        At which survival is compared.
    survival_difference, survival_ratio : tuple of ArmEffect
        One a landmark.
    checks : tuple of PrintedCheck
        Printed numbers beside what the figures give.
    constraint : Constraint or None
        What was done to have the data sets agree with a printed number; None when that was not asked for.
    warnings : tuple of Caution
        What to keep in mind.
    """

    treated: PseudoIPD
    control: PseudoIPD
    treated_draws: PseudoEnsemble
    control_draws: PseudoEnsemble
    log_hr: ArmEffect
    log_rank: ArmLogRank
    trend: ArmEffect
    horizon: float
    rmst_difference: ArmEffect
    rmst_ratio: ArmEffect
    landmarks: tuple[float, ...]
    survival_difference: tuple[ArmEffect, ...]
    survival_ratio: tuple[ArmEffect, ...]
    checks: tuple[PrintedCheck, ...]
    constraint: Constraint | None
    warnings: tuple[Caution, ...] = ()

    @property
    def hazard_ratio(self) -> float:
        """Cox's hazard ratio over the data sets; 0 or infinite when one arm has all the events, nan without any."""
        return self.log_hr.natural

    def hazard_ratio_interval(self, level: float = 0.95) -> Interval:
        """Interval of the hazard ratio.

        Where the ratio is infinite or 0 in a data set, from the least to the largest end of the profile likelihood
        intervals of all of them, one end open.
        """
        if self._has_wald():
            return self.log_hr.natural_interval(level)
        return _profile(sets_of(stacked(self.treated_draws.draws), stacked(self.control_draws.draws)), level)

    def sampling_interval(self, level: float = 0.95) -> Interval:
        """Interval of the hazard ratio from the reconstructed patients alone; by profile likelihood when infinite."""
        if math.isfinite(self.log_hr.reconstructed):
            low, high = self.log_hr.sampling_interval(level)
            return Interval(self.log_hr.to_natural(low), self.log_hr.to_natural(high))
        return _profile(sets_of(self.treated.data, self.control.data), level)

    @property
    def medians(self) -> tuple[float, float]:
        """Medians of treated and control, as reconstructed; nan when not reached."""
        return self.treated.median, self.control.median

    @property
    def median_ratio(self) -> float:
        """Of treated over control, as reconstructed; nan when a median is not reached."""
        treated, control = self.medians
        return treated / control if control > 0 else math.nan

    @property
    def effects(self) -> tuple[ArmEffect, ...]:
        """All comparisons, the hazard ratio first and the test of its constancy last."""
        pairs = zip(self.survival_difference, self.survival_ratio, strict=True)
        landmarks = (effect for pair in pairs for effect in pair)
        return (self.log_hr, self.rmst_difference, self.rmst_ratio, *landmarks, self.trend)

    @property
    def is_consistent(self) -> bool:
        """Whether no printed number disagrees with the figures."""
        return all(check.is_consistent for check in self.checks)

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row a comparison; ratios on the log scale."""
        import pandas as pd

        rows = []
        for effect in self.effects:
            low, high = self._limits(effect, level)
            row = {
                "kind": effect.kind,
                "estimate": effect.estimate,
                "se": effect.se,
                "ci_lower": low,
                "ci_upper": high,
                "df": effect.df,
                "pvalue": effect.pvalue,
                "reporting_loss": effect.reporting_loss,
                "reconstructed": effect.reconstructed,
                "reconstructed_se": effect.reconstructed_se,
            }
            rows.append(row)
        return pd.DataFrame(rows, index=pd.Index([effect.label for effect in self.effects], name="effect"))

    def checks_frame(self) -> pd.DataFrame:
        """One row a printed number that was checked."""
        import pandas as pd

        names = ("printed", "reconstructed", "least", "most", "distance", "agreement", "hint")
        rows = [{name: getattr(check, name) for name in names} for check in self.checks]
        return pd.DataFrame(rows, columns=names, index=pd.Index([c.label for c in self.checks], name="what"))

    def to_dict(self, level: float = 0.95) -> JSON:
        """Plain dict for JSON."""
        return {
            "treated": self.treated.label,
            "control": self.control.label,
            "unit": self.treated.unit,
            "level": level,
            "n_draws": len(self.treated_draws),
            "horizon": self.horizon,
            "effects": _format.plain_rows(self.summary_frame(level)),
            "log_rank": {name: _format.plain(value) for name, value in self.log_rank._asdict().items()},
            "medians": [_format.plain(value) for value in self.medians],
            "checks": _format.plain_rows(self.checks_frame()),
            "constraint": None if self.constraint is None else str(self.constraint),
            "warnings": [str(warning) for warning in self.warnings],
        }

    def cox(self) -> Any:
        """A fitted `lifelines.CoxPHFitter` of the reconstructed patients; `group` is 1 for the treated."""
        return self.treated.cox(self.control)

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Both curves with numbers at risk underneath; needs matplotlib."""
        from netsynth.plots.ipd import ipd_plot

        return ipd_plot([self.treated, self.control], ax=ax)

    def difference_frame(
        self,
        time: Sequence[float] | FloatArray,
        quantity: Literal["survival", "rmst"] = "survival",
        *,
        level: float = 0.95,
    ) -> pd.DataFrame:
        """Difference of survival at each time, or of the restricted mean up to it: one unrounded row a time.

        By Rubin's rules, as the effects are; the interval is for each time by itself. nan after the follow-up of either
        arm in any data set.
        """
        import pandas as pd

        at = _validate.increasing_1d(time, "time", where=self._name)
        _validate.choice(quantity, "quantity", ("survival", "rmst"), where=self._name)
        pairs = zip(self.treated_draws.draws, self.control_draws.draws, strict=True)
        found = [arm_difference(treated, control, at, quantity) for treated, control in pairs]
        both = rubin.combine(
            np.stack([each.estimate for each in found]), np.stack([np.diag(each.variance) for each in found])
        )
        se = np.sqrt(np.diag(both.total))
        low, high = intervals.limits(both.estimate, se, both.df, _validate.level(level))
        columns = {"estimate": both.estimate, "se": se, "ci_lower": low, "ci_upper": high, "df": both.df}
        return pd.DataFrame(columns, index=pd.Index(at, name="time"))

    def plot_difference(
        self,
        quantity: Literal["survival", "rmst"] = "survival",
        *,
        level: float = 0.95,
        ax: Axes | None = None,
    ) -> Axes:
        """Difference of survival, or of its restricted mean, over time with its interval; needs matplotlib."""
        from netsynth.plots.arms import difference_plot

        return difference_plot(self, quantity, level=level, ax=ax)

    @property
    def _name(self) -> str:
        return f"{self.treated.label} against {self.control.label}"

    def _has_wald(self) -> bool:
        return math.isfinite(self.log_hr.estimate)

    def _limits(self, effect: ArmEffect, level: float) -> Interval:
        if effect is not self.log_hr or self._has_wald():
            return effect.confidence_interval(level)
        with np.errstate(divide="ignore"):
            low, high = np.log(self.hazard_ratio_interval(level))
        return Interval(float(low), float(high))

    def _title(self) -> str:
        a, b = self.treated, self.control
        counts = [_format.plural(arm.n_events, "event") + f" in {arm.n_total}" for arm in (a, b)]
        return f"{a.label} ({counts[0]}) against {b.label} ({counts[1]})"

    def _table(self) -> list[tuple[str, str, str, str, str, str]]:
        rows = []
        for effect in self.effects[:-1]:
            low, high = self._limits(effect, 0.95)
            p = "" if math.isnan(effect.pvalue) else _format.pvalue(effect.pvalue)
            loss = effect.reporting_loss
            rows.append(
                (
                    effect.label,
                    effect.shown(effect.estimate),
                    _between(effect, low, high),
                    p,
                    "" if math.isnan(loss) else f"{_format.number(100 * loss, 0)}%",
                    f"{effect.shown(effect.reconstructed)} {self._alone(effect)}",
                )
            )
        return rows

    def _alone(self, effect: ArmEffect) -> str:
        if effect is self.log_hr:
            with np.errstate(divide="ignore"):
                low, high = np.log(self.sampling_interval())
            return _between(effect, float(low), float(high))
        return _between(effect, *effect.sampling_interval())

    def _notes(self) -> list[tuple[str, str]]:
        test, unit, trend = self.log_rank, self.treated.unit, self.trend
        spread = ""
        if math.isfinite(test.least_pvalue):
            p_low, p_high = (_format.pvalue(p) for p in (test.least_pvalue, test.most_pvalue))
            spread = (
                f"; {p_low} in all data sets" if p_low == p_high else f"; {p_low} to {p_high} over data sets"
            )
        medians = " and ".join(
            "not reached" if math.isnan(m) else f"{_format.significant(m)}" for m in self.medians
        )
        ratio = "" if math.isnan(self.median_ratio) else f", ratio {_format.ratio(self.median_ratio)}"
        change = (
            f"{_format.pvalue(trend.pvalue)} against it; log hazard ratio changes by {trend.shown(trend.estimate)} "
            f"{_between(trend, *trend.confidence_interval())} from the first event to the last"
        )
        rows = [
            (
                "log-rank",
                f"{_format.number(test.observed, 0)} events among the treated, {_format.number(test.expected, 1)} "
                f"expected, {_format.pvalue(test.pvalue)}{spread}",
            ),
            ("medians", f"{medians} {unit}s{ratio}"),
            ("proportional hazards", "cannot be tested" if math.isnan(trend.pvalue) else change),
        ]
        rows += [(f"printed {check.label} {check.printed}", str(check)) for check in self.checks]
        if self.constraint is not None:
            rows.append(("constraint", str(self.constraint)))
        return rows

    def __str__(self) -> str:
        table = _format.text_table(_HEADER, self._table()).splitlines()
        notes = _format.labelled_lines("", self._notes(), self.warnings).splitlines()[1:]
        source = f"  from {len(self.treated_draws)} data sets that the figures allow"
        return "\n".join([self._title(), *(f"  {line}" for line in table), source, *notes])

    def _repr_html_(self) -> str:
        effects = _format.html_table(_HEADER, self._table(), caption=self._title())
        return effects + _format.html_table(("", ""), self._notes())


_HEADER = ("", "estimate", "95% CI", "p", "lost to reporting", "from the reconstruction alone")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ArmComparisons:
    """Several arms against one, as made by `netsynth.compare_arms`.

    The comparisons share the patients of the control and so are not independent.

    Attributes
    ----------
    control : str
        The arm that the others are compared with.
    comparisons : mapping of str to ArmComparison
        By the name of the arm.
    chi2, df, pvalue : float, int, float
        Log-rank test that survival is the same in all arms, from the reconstructed patients.
    """

    control: str
    comparisons: Mapping[str, ArmComparison]
    chi2: float
    df: int
    pvalue: float

    def __getitem__(self, name: str) -> ArmComparison:
        return self.comparisons[name]

    def __len__(self) -> int:
        return len(self.comparisons)

    @property
    def warnings(self) -> tuple[Caution, ...]:
        """What to keep in mind, of all comparisons."""
        return tuple(
            dict.fromkeys(w for comparison in self.comparisons.values() for w in comparison.warnings)
        )

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row an arm and comparison."""
        import pandas as pd

        frames = {name: each.summary_frame(level) for name, each in self.comparisons.items()}
        return pd.concat(frames, names=["arm"])

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """All curves with numbers at risk underneath; needs matplotlib."""
        from netsynth.plots.ipd import ipd_plot

        arms = [each.treated for each in self.comparisons.values()]
        first = next(iter(self.comparisons.values()))
        return ipd_plot([first.control, *arms], ax=ax)

    def _rows(self) -> list[tuple[str, str, str, str, str]]:
        rows = []
        for name, each in self.comparisons.items():
            for effect in each.effects[:-1]:
                low, high = each._limits(effect, 0.95)
                p = "" if math.isnan(effect.pvalue) else _format.pvalue(effect.pvalue)
                rows.append(
                    (name, effect.label, effect.shown(effect.estimate), _between(effect, low, high), p)
                )
                name = ""
        return rows

    def _title(self) -> str:
        test = (
            f"log-rank chi2 {_format.significant(self.chi2)} on {self.df} df, {_format.pvalue(self.pvalue)}"
        )
        return f"{len(self)} arms against {self.control}; {test}"

    def __str__(self) -> str:
        table = _format.text_table(_ARMS_HEADER, self._rows()).splitlines()
        lines = [self._title(), *(f"  {line}" for line in table)]
        return "\n".join([*lines, *(f"  {warning}" for warning in self.warnings)])

    def _repr_html_(self) -> str:
        return _format.html_table(_ARMS_HEADER, self._rows(), caption=self._title())


_ARMS_HEADER = ("arm", "", "estimate", "95% CI", "p")


def _profile(sets: RiskSets, level: float) -> Interval:
    ends = two_arms.profile_limits(sets, two_arms.cox(sets), _validate.level(level))
    with np.errstate(over="ignore"):
        return Interval(float(np.exp(ends.lower.min())), float(np.exp(ends.upper.max())))


def _between(effect: ArmEffect, low: float, high: float) -> str:
    return f"[{effect.shown(low)}, {effect.shown(high)}]"
