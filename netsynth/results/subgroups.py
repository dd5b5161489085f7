"""The result of comparing subgroups: what each says, and whether they say different things."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtrc

from netsynth import _format, _validate
from netsynth._typing import JSON, FloatArray
from netsynth.errors import Caution
from netsynth.kernels.coefficients import difference_test
from netsynth.kernels.intervals import limits, two_sided_pvalue
from netsynth.kernels.scales import MEASURES, EffectMeasure
from netsynth.results.moderator_tests import ModeratorTest, span
from netsynth.results.pooled import PooledEffect

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["SubgroupComparison"]


@dataclass(frozen=True, slots=True, eq=False)
class SubgroupComparison:
    """Pooled effects of subgroups, compared, as made by `netsynth.compare_subgroups`.

    Attributes
    ----------
    groups : tuple of str
        Names of the subgroups.
    results : tuple of PooledEffect
        What each says. With a common tau2 that is theirs too, and the degrees of freedom of their intervals are
        those of all studies less the number of subgroups; weights add up to 1 within each. Asked for an
        interval by another method, a subgroup answers as if it stood alone with that tau2.
    overall : PooledEffect
        All studies together, without regard to subgroups.
    common_tau2 : bool
        Whether the subgroups share one tau2.
    warnings : tuple of Caution
        What to keep in mind.
    """

    groups: tuple[str, ...]
    results: tuple[PooledEffect, ...]
    overall: PooledEffect
    common_tau2: bool
    warnings: tuple[Caution, ...] = ()

    @property
    def measure(self) -> EffectMeasure:
        """The scale of every number that is not called natural."""
        return self.overall.measure

    @property
    def k(self) -> int:
        """Number of studies."""
        return self.overall.k

    @property
    def tau2(self) -> float:
        """The common tau2; nan when each subgroup has its own."""
        return self.results[0].tau2 if self.common_tau2 else math.nan

    @property
    def test(self) -> ModeratorTest:
        """Whether the subgroups are equal: chi-squared; F with a common tau2 unless `ci_method` is "wald"."""
        means = np.array([result.estimate for result in self.results])
        found = difference_test(means, self._variances(), np.asarray(self._df))
        return ModeratorTest(self.groups, *(float(value) for value in found))

    @property
    def _df(self) -> float:
        return self.results[0].df if self.common_tau2 else math.inf

    def _variances(self) -> FloatArray:
        """Of the means, as the comparison takes them: by Wald unless tau2 is common."""
        if self.common_tau2:
            return np.array([result.se**2 for result in self.results])
        totals = [result.study_se**2 + (result.tau2 if result.pooled else 0.0) for result in self.results]
        return np.array([1.0 / (1.0 / total).sum() for total in totals])

    def difference_frame(self, level: float = 0.95, *, reference: str | None = None) -> pd.DataFrame:
        """One unrounded row a subgroup but the reference: by how much it differs from that.

        Parameters
        ----------
        level : float
            Level of the intervals, which are not adjusted for the number of comparisons.
        reference : str, optional
            The subgroup the others are compared with, by default the first.

        Raises
        ------
        InvalidInputError
            If there is no such subgroup, or the level is not a fraction.
        """
        import pandas as pd

        level = _validate.level(level)
        reference = self.groups[0] if reference is None else reference
        base = self.groups.index(_validate.choice(reference, "reference", self.groups))
        others = [i for i in range(len(self.groups)) if i != base]
        means, variances = np.array([result.estimate for result in self.results]), self._variances()
        difference, se = means[others] - means[base], np.sqrt(variances[others] + variances[base])
        ci = limits(difference, se, self._df, level)
        columns = {
            "difference": difference,
            "se": se,
            "df": self._df,
            "pvalue": two_sided_pvalue(difference / se, self._df),
            "ci_lower": ci.lower,
            "ci_upper": ci.upper,
        }
        return pd.DataFrame(
            columns, index=pd.Index([self.groups[i] for i in others], name=f"less {reference}")
        )

    @property
    def q(self) -> float:
        """Cochran's Q of all studies, `q_within` plus `q_between`."""
        return self.overall.q

    @property
    def q_within(self) -> float:
        """The Q of the subgroups added up, on k less their number of degrees of freedom."""
        return sum(result.q for result in self.results)

    @property
    def q_within_pvalue(self) -> float:
        """P-value of no heterogeneity within any subgroup; nan when each has one study."""
        df = self.k - len(self.groups)
        return float(chdtrc(df, self.q_within)) if df > 0 else math.nan

    @property
    def q_between(self) -> float:
        """The part of Q that lies between subgroups, on their number less one; it takes tau2 for zero."""
        return self.q - self.q_within

    @property
    def r2(self) -> float:
        """Share of tau2 that the subgroups explain; nan unless they share one that is not fixed at zero."""
        if not self.common_tau2 or self.overall.tau2_method == "CE":
            return math.nan
        return max(1.0 - self.tau2 / self.overall.tau2, 0.0) if self.overall.tau2 > 0 else 0.0

    def __getitem__(self, group: str) -> PooledEffect:
        """The pooled effect of one subgroup.

        Raises
        ------
        KeyError
            If there is no such subgroup.
        """
        if group not in self.groups:
            raise KeyError(f"no subgroup {group!r}; there are {', '.join(self.groups)}")
        return self.results[self.groups.index(group)]

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row a subgroup, then one for all studies; columns as those of `PooledEffect`."""
        import pandas as pd

        frame = pd.concat([result.summary_frame(level) for result in (*self.results, self.overall)])
        frame.index = pd.Index([*self.groups, "overall"], name="subgroup")
        return frame

    def study_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row a study, by subgroup; weights are those within the subgroup."""
        import pandas as pd

        frames = [result.study_frame(level) for result in self.results]
        for group, frame in zip(self.groups, frames, strict=True):
            frame.insert(0, "subgroup", group)
        return pd.concat(frames)

    def to_dict(self, level: float = 0.95) -> JSON:
        """Plain types for JSON: the test, Q and one dict a subgroup; None for what is undefined."""
        rows = self.summary_frame(level).reset_index().to_dict("records")
        return {
            "measure": self.measure,
            "level": level,
            "common_tau2": self.common_tau2,
            "tau2": _format.plain(self.tau2),
            "r2": _format.plain(self.r2),
            "test": self.test.to_dict(),
            "q_within": self.q_within,
            "q_between": _format.plain(self.q_between),
            "subgroups": [{str(name): _format.plain(value) for name, value in row.items()} for row in rows],
            "warnings": [str(caution) for caution in self.warnings],
        }

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Forest plot by subgroup; needs matplotlib."""
        from netsynth.plots.subgroups import subgroup_plot

        return subgroup_plot(self, ax=ax)

    def _title(self) -> str:
        measure, method = MEASURES[self.measure], self.overall.tau2_method
        label = f"{measure.label} ({measure.scale} scale)" if measure.kind == "probability" else measure.label
        kind = "common" if self.common_tau2 else "separate"
        model = "common effect" if method == "CE" else f"{kind} tau2 by {method}"
        number = _format.plural(len(self.groups), "subgroup")
        return f"{label} by subgroup, {model}, CI by {self.overall.ci_method}, k = {self.k} in {number}"

    def _rows(self) -> list[tuple[str, ...]]:
        named = zip((*self.groups, "overall"), (*self.results, self.overall), strict=True)
        return [
            (
                name,
                str(result.k),
                result.shown(result.natural),
                span(self.measure, *result.natural_interval()) or "undefined",
                "" if result.tau2_method == "CE" or not result.pooled else _format.significant(result.tau2),
                f"{100 * result.i2:.0f}%" if result.pooled else "",
            )
            for name, result in named
        ]

    def _header(self) -> tuple[str, ...]:
        return ("subgroup", "k", "estimate", "95% CI", "tau2", "I2")

    def __str__(self) -> str:
        lines = [f"  {line}" for line in _format.text_table(self._header(), self._rows()).splitlines()]
        r2 = "" if math.isnan(self.r2) else f"   R2 {100 * self.r2:.0f}%"
        lines.append(f"  difference between subgroups  {self.test}{r2}")
        return "\n".join([self._title(), *lines, *(f"  {caution}" for caution in self.warnings)])

    def _repr_html_(self) -> str:
        return _format.html_table(self._header(), self._rows(), caption=f"{self._title()}. {self.test}")
