"""How many significant studies were to be expected, and how many null results would undo a finding."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from netsynth import _format
from netsynth._typing import JSON, BoolArray, FloatArray
from netsynth.errors import Caution
from netsynth.kernels.excess import ExcessTest
from netsynth.kernels.scales import MEASURES, EffectMeasure
from netsynth.kernels.selection import Alternative
from netsynth.results.pooled import PooledEffect

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ExcessSignificance", "FailSafeN"]

FailSafeMethod = Literal["rosenthal", "orwin", "rosenberg", "general"]
PowerModel = Literal["CE", "RE"]

_TESTS: Final = {"exact": "exact", "binomial": "binomial", "chi2": "chi-squared"}
_SIDES: Final = {"two-sided": "two-sided", "greater": "upper-sided", "less": "lower-sided"}


@dataclass(frozen=True, slots=True, eq=False)
class ExcessSignificance:
    """Significant studies seen and expected, as made by `netsynth.assess_excess_significance`.

    Attributes
    ----------
    pooled : PooledEffect
        The studies.
    alternative, alpha : str, float
        Side and level of the tests of the studies.
    test : {"exact", "binomial", "chi2"}
        How the number seen was compared with that expected.
    effect, tau2 : float
        True effects for which power was computed: their mean and variance, on the scale of ``pooled.measure``.
    power : ndarray, shape (k,)
        Chance of each study to be significant. Read-only, as all arrays.
    significant : ndarray of bool, shape (k,)
        Which were.
    chi2 : float
        The statistic of the chi-squared test; nan for the others.
    pvalue : float
        One-sided p-value that no more are significant than expected.
    limit : float
        The mean effect nearest to none with which the excess has p = `limit_alpha`; nan where it has a larger
        one even if there is no effect.
    limit_alpha : float
        Level of the limit.
    warnings : tuple of Caution
        What to keep in mind.
    """

    pooled: PooledEffect
    alternative: Alternative
    alpha: float
    test: ExcessTest
    effect: float
    tau2: float
    power: FloatArray
    significant: BoolArray
    chi2: float
    pvalue: float
    limit: float
    limit_alpha: float
    warnings: tuple[Caution, ...] = ()

    @property
    def measure(self) -> EffectMeasure:
        """The scale of every number here that is not called natural."""
        return self.pooled.measure

    @property
    def k(self) -> int:
        """Number of studies."""
        return self.pooled.k

    @property
    def n_significant(self) -> int:
        """Significant studies."""
        return int(self.significant.sum())

    @property
    def n_expected(self) -> float:
        """Significant studies to be expected: the sum of `power`."""
        return float(self.power.sum())

    @property
    def ratio(self) -> float:
        """Significant studies over those expected."""
        return self.n_significant / self.n_expected if self.n_expected > 0 else math.inf

    @property
    def natural_effect(self) -> float:
        """`effect` on the printed scale."""
        return self._natural(self.effect)

    @property
    def natural_limit(self) -> float:
        """`limit` on the printed scale."""
        return self._natural(self.limit)

    def _natural(self, value: float) -> float:
        return float(MEASURES[self.measure].from_scale(value))

    def _row(self) -> dict[str, Any]:
        return {
            "n_significant": self.n_significant,
            "n_expected": self.n_expected,
            "ratio": self.ratio,
            "chi2": self.chi2,
            "pvalue": self.pvalue,
            "effect": self.effect,
            "natural_effect": self.natural_effect,
            "tau2": self.tau2,
            "limit": self.limit,
            "natural_limit": self.natural_limit,
            "limit_alpha": self.limit_alpha,
            "alternative": self.alternative,
            "alpha": self.alpha,
            "k": self.k,
        }

    def summary_frame(self) -> pd.DataFrame:
        """One unrounded row; the columns called natural are on the printed scale."""
        import pandas as pd

        return pd.DataFrame([self._row()], index=pd.Index([self.test], name="test"))

    def study_frame(self) -> pd.DataFrame:
        """One unrounded row a study: its effect, power, and whether it is significant."""
        import pandas as pd

        columns = {
            "estimate": self.pooled.study_estimate,
            "se": self.pooled.study_se,
            "power": self.power,
            "significant": self.significant,
        }
        return pd.DataFrame(columns, index=pd.Index(self.pooled.study, name="study"))

    def to_dict(self) -> JSON:
        """Plain dict for JSON: the columns of `summary_frame` and the power of each study; None for nan."""
        plain = {name: _format.plain(value) for name, value in self._row().items()}
        power = dict(zip(self.pooled.study, self.power.tolist(), strict=True))
        said = [str(caution) for caution in self.warnings]
        return {"measure": self.measure, "test": self.test, **plain, "power": power, "warnings": said}

    def _title(self) -> str:
        label = MEASURES[self.measure].label
        return (
            f"Excess significance: {label}, {_SIDES[self.alternative]} tests at {self.alpha:g}, k = {self.k}"
        )

    def _rows(self) -> list[tuple[str, str]]:
        shown = self.pooled.shown
        how = f", tau2 {_format.significant(self.tau2)}" if self.tau2 > 0 else ", no heterogeneity"
        limit = "none: no excess even without an effect"
        if not math.isnan(self.limit):
            edge = shown(self.natural_limit)
            limit = f"with an effect nearer to none than {edge} the excess has p below {self.limit_alpha:g}"
        return [
            ("significant", f"{self.n_significant} of {self.k}"),
            (
                "expected",
                f"{_format.number(self.n_expected, 1)} if the effect is {shown(self.natural_effect)}{how}",
            ),
            ("excess", f"{_TESTS[self.test]} test, one-sided {_format.pvalue(self.pvalue)}"),
            ("limit", limit),
        ]

    def __str__(self) -> str:
        return _format.labelled_lines(self._title(), self._rows(), self.warnings)

    def _repr_html_(self) -> str:
        return _format.html_table(("", ""), self._rows(), caption=self._title())


@dataclass(frozen=True, slots=True)
class FailSafeN:
    """Null results that would undo a finding, as made by `netsynth.failsafe_n`.

    Attributes
    ----------
    pooled : PooledEffect
        The studies.
    method : {"rosenthal", "orwin", "rosenberg", "general"}
        What is to be undone, and how.
    n : float
        Fewest studies averaging no effect whose addition does it; infinite beyond ten million.
    alpha : float
        Level to which the p-value is to rise; nan where the effect is to fall instead.
    target : float
        Effect to which the mean is to fall; nan where the p-value is to rise instead.
    estimate, tau2, pvalue : float
        Mean effect, tau2 and p-value before, on the scale of ``pooled.measure``; nan where the method has none.
        The p-value of "rosenthal" is one-sided, on the side of the effect, the others two-sided.
    diluted_estimate, diluted_tau2, diluted_pvalue : float
        The same after n null results were added, for "general"; nan for the others.
    warnings : tuple of Caution
        What to keep in mind.
    """

    pooled: PooledEffect
    method: FailSafeMethod
    n: float
    alpha: float
    target: float
    estimate: float
    tau2: float
    pvalue: float
    diluted_estimate: float
    diluted_tau2: float
    diluted_pvalue: float
    warnings: tuple[Caution, ...] = ()

    @property
    def measure(self) -> EffectMeasure:
        """The scale of every number here that is not called natural."""
        return self.pooled.measure

    @property
    def k(self) -> int:
        """Number of studies."""
        return self.pooled.k

    def _row(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "alpha": self.alpha,
            "target": self.target,
            "estimate": self.estimate,
            "tau2": self.tau2,
            "pvalue": self.pvalue,
            "diluted_estimate": self.diluted_estimate,
            "diluted_tau2": self.diluted_tau2,
            "diluted_pvalue": self.diluted_pvalue,
            "k": self.k,
        }

    def summary_frame(self) -> pd.DataFrame:
        """One unrounded row on the scale of `measure`."""
        import pandas as pd

        return pd.DataFrame([self._row()], index=pd.Index([self.method], name="method"))

    def to_dict(self) -> JSON:
        """Plain dict for JSON: the columns of `summary_frame`; None for nan, "inf" for an infinite number."""
        plain = {name: _format.plain(value) for name, value in self._row().items()}
        said = [str(caution) for caution in self.warnings]
        return {"measure": self.measure, "method": self.method, **plain, "warnings": said}

    def _title(self) -> str:
        return f"Fail-safe N ({self.method.capitalize()}): {MEASURES[self.measure].label}, k = {self.k}"

    def _rows(self) -> list[tuple[str, str]]:
        shown, scale = self.pooled.shown, MEASURES[self.measure].from_scale
        n = (
            "more than ten million"
            if math.isinf(self.n)
            else f"{self.n:g}"
            if self.n < 1e5
            else f"{self.n:.0f}"
        )
        rows = [("null results needed", n)]
        if math.isnan(self.target):
            side = "one-sided " if self.method == "rosenthal" else ""
            rows.append(("to raise", f"{side}{_format.pvalue(self.pvalue)} to {self.alpha:g}"))
        else:
            start, end = (shown(float(scale(value))) for value in (self.estimate, self.target))
            rows.append(("to move", f"the effect from {start} to {end}"))
        return rows

    def __str__(self) -> str:
        return _format.labelled_lines(self._title(), self._rows(), self.warnings)

    def _repr_html_(self) -> str:
        return _format.html_table(("", ""), self._rows(), caption=self._title())
