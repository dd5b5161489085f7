"""What each study does to a pooled result: residuals, deletion diagnostics, shrunken effects."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import JSON, BoolArray, FloatArray
from netsynth.errors import Caution
from netsynth.kernels import intervals
from netsynth.kernels.influence import Thresholds, thresholds
from netsynth.kernels.intervals import Limits
from netsynth.kernels.scales import MEASURES
from netsynth.results.pooled import PooledEffect

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["StudyInfluence"]

_HEADER: Final = ("study", "weight", "studentized", "DFFITS", "Cook", "cov ratio", "tau2 without", "shrunken")
_WIDTH: Final = 108  # columns of text


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StudyInfluence:
    """Influence of each study on a pooled result, as made by `netsynth.influence`.

    Arrays are read-only, shape (k,), one entry a study in the order of ``overall.study``. "Deleted" means
    fitted without that study. On the scale of ``overall.measure``, or without unit.

    Attributes
    ----------
    overall : PooledEffect
        All studies together.
    residual, residual_se : ndarray
        Distance of each study from the pooled effect, and its standard error.
    deleted_residual, deleted_residual_se : ndarray
        Distance of each study from the pooled effect of the others, and its standard error.
    dffits, dfbetas : ndarray
        How far the pooled effect moves with the study, in standard errors of two kinds.
    cook_distance : ndarray
        Squared distance that the pooled effect moves, in units of its variance.
    cov_ratio : ndarray
        Variance of the pooled effect without the study over that with it; below 1 the study costs precision.
    estimate_deleted, tau2_deleted, q_deleted : ndarray
        Pooled effect, tau2 and Cochran's Q of the others.
    hat : ndarray
        Leverage, here the weight of the study, a fraction.
    baujat_q, baujat_influence : ndarray
        Axes of the Baujat plot: contribution to the heterogeneity, and squared distance that the pooled effect
        moves in units of its variance without the study.
    shrunken, shrunken_se : ndarray
        Best linear unbiased prediction of the true effect of each study, and its standard error.
    warnings : tuple of Caution
        What to keep in mind.
    """

    overall: PooledEffect
    residual: FloatArray
    residual_se: FloatArray
    deleted_residual: FloatArray
    deleted_residual_se: FloatArray
    dffits: FloatArray
    dfbetas: FloatArray
    cook_distance: FloatArray
    cov_ratio: FloatArray
    estimate_deleted: FloatArray
    tau2_deleted: FloatArray
    q_deleted: FloatArray
    hat: FloatArray
    baujat_q: FloatArray
    baujat_influence: FloatArray
    shrunken: FloatArray
    shrunken_se: FloatArray
    warnings: tuple[Caution, ...] = ()

    @property
    def study(self) -> tuple[str, ...]:
        """Labels of the studies."""
        return self.overall.study

    @property
    def standardized(self) -> FloatArray:
        """Residuals over their standard errors, the study itself included in the fit."""
        return self.residual / self.residual_se

    @property
    def studentized(self) -> FloatArray:
        """Deleted residuals over their standard errors: nearly standard normal if the study fits the others."""
        return self.deleted_residual / self.deleted_residual_se

    @property
    def thresholds(self) -> Thresholds:
        """The values beyond which a study counts as influential."""
        return thresholds(self.overall.k)

    @property
    def influential(self) -> BoolArray:
        """Studies beyond any of the thresholds of DFFITS, Cook's distance, weight and DFBETAS."""
        limit = self.thresholds
        return np.asarray(
            (np.abs(self.dffits) > limit.dffits)
            | (self.cook_distance > limit.cook_distance)
            | (self.hat > limit.hat)
            | (np.abs(self.dfbetas) > limit.dfbetas)
        )

    def shrunken_interval(self, level: float = 0.95) -> Limits:
        """Where the true effect of each study lies, two arrays of shape (k,).

        With the distribution of the interval of the mean; the uncertainty of tau2 is ignored.

        Raises
        ------
        InvalidInputError
            If the level is not a fraction.
        """
        return intervals.limits(self.shrunken, self.shrunken_se, self.overall.df, _validate.level(level))

    def natural_shrunken_interval(self, level: float = 0.95) -> Limits:
        """`shrunken_interval` on the printed scale, the smaller limits first."""
        back = MEASURES[self.overall.measure].from_scale
        ends = np.sort(back(np.stack(self.shrunken_interval(level))), axis=0)
        return Limits(ends[0], ends[1])

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row a study, on the scale of the measure."""
        import pandas as pd

        within = self.shrunken_interval(level)
        columns = {
            "estimate": self.overall.study_estimate,
            "se": self.overall.study_se,
            "weight": self.overall.weight,
            "hat": self.hat,
            "residual": self.residual,
            "residual_se": self.residual_se,
            "standardized": self.standardized,
            "deleted_residual": self.deleted_residual,
            "deleted_residual_se": self.deleted_residual_se,
            "studentized": self.studentized,
            "dffits": self.dffits,
            "dfbetas": self.dfbetas,
            "cook_distance": self.cook_distance,
            "cov_ratio": self.cov_ratio,
            "estimate_deleted": self.estimate_deleted,
            "tau2_deleted": self.tau2_deleted,
            "q_deleted": self.q_deleted,
            "baujat_q": self.baujat_q,
            "baujat_influence": self.baujat_influence,
            "shrunken": self.shrunken,
            "shrunken_se": self.shrunken_se,
            "shrunken_lower": within.lower,
            "shrunken_upper": within.upper,
            "influential": self.influential,
        }
        return pd.DataFrame(columns, index=pd.Index(self.study, name="study"))

    def to_dict(self, level: float = 0.95) -> JSON:
        """Plain dict for JSON: methods, thresholds, and one dict a study with the columns of `summary_frame`."""
        return {
            "measure": self.overall.measure,
            "tau2_method": self.overall.tau2_method,
            "ci_method": self.overall.ci_method,
            "level": level,
            "thresholds": self.thresholds._asdict(),
            "studies": _format.plain_rows(self.summary_frame(level)),
            "warnings": [str(caution) for caution in self.warnings],
        }

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Diagnostics side by side, one row a study; needs matplotlib."""
        from netsynth.plots.influence import influence_plot

        return influence_plot(self, ax=ax)

    def plot_baujat(self, *, ax: Axes | None = None) -> Axes:
        """Contribution to the heterogeneity against influence on the result; needs matplotlib."""
        from netsynth.plots.baujat import baujat_plot

        return baujat_plot(self, ax=ax)

    def conclusion(self) -> str:
        """In words, which studies are influential and which lie apart."""
        limit = self.thresholds
        found = [study for study, beyond in zip(self.study, self.influential, strict=True) if beyond]
        rule = (
            f"|DFFITS| > {_format.significant(limit.dffits)}, "
            f"Cook's distance > {_format.significant(limit.cook_distance)}, "
            f"weight > {100 * limit.hat:.0f}% or |DFBETAS| > {limit.dfbetas:g}"
        )
        if found:
            verb = "is" if len(found) == 1 else "are"
            said = f"{_format.listing(found)} {verb} influential (*): {rule}."
        else:
            said = f"No study is influential by {rule}."
        far = np.abs(self.studentized) > intervals.critical_value(np.inf, 0.95)
        apart = [study for study, beyond in zip(self.study, far, strict=True) if beyond]
        expected = _format.significant(0.05 * self.overall.k, 2)
        if apart:
            verb = "lies" if len(apart) == 1 else "lie"
            said += (
                f" {_format.listing(apart)} {verb} more than 1.96 standard errors from the other studies, where chance "
                f"alone puts {expected} of {self.overall.k}."
            )
        return said

    def _rows(self) -> list[tuple[str, ...]]:
        natural = MEASURES[self.overall.measure].from_scale(self.shrunken)
        values = zip(
            self.study,
            self.influential,
            self.hat,
            self.studentized,
            self.dffits,
            self.cook_distance,
            self.cov_ratio,
            self.tau2_deleted,
            natural,
            strict=True,
        )
        return [
            (
                f"{study} *" if beyond else study,
                f"{100 * hat:.1f}%",
                _signed(z),
                _signed(dffits),
                _format.number(cook, 2),
                _format.number(ratio, 2),
                _format.significant(tau2),
                self.overall.shown(float(shrunken)),
            )
            for study, beyond, hat, z, dffits, cook, ratio, tau2, shrunken in values
        ]

    def _title(self) -> str:
        return f"Influence: {str(self.overall).partition(chr(10))[0]}"

    def __str__(self) -> str:
        lines = [self._title()]
        lines += [f"  {line}" for line in _format.text_table(_HEADER, self._rows()).splitlines()]
        lines += textwrap.wrap(self.conclusion(), _WIDTH, initial_indent="  ", subsequent_indent="  ")
        return "\n".join([*lines, *(f"  {caution}" for caution in self.warnings)])

    def _repr_html_(self) -> str:
        return _format.html_table(_HEADER, self._rows(), caption=self._title())


def _signed(value: float) -> str:
    text = _format.number(value, 2)
    return f"+{text}" if value > 0 else text
