"""Results about medians and means that studies print as five numbers: pooled, and converted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import JSON, BoolArray, FloatArray, Interval
from netsynth.errors import Caution, InvalidInputError
from netsynth.kernels import intervals, orderstats
from netsynth.kernels.five_number_methods import MeanMethod
from netsynth.kernels.five_numbers import SkewnessTest
from netsynth.kernels.median_pooling import jackknife, quantile_limits, weighted_sign_limits
from netsynth.results.aggregated import MedianInterval
from netsynth.results.pooled import PooledEffect

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["AggregatedMedians", "ConvertedMeans", "MedianMethod", "Quantity", "StudyGroup"]

MedianMethod = Literal["MM", "WM", "QE", "CD", "BC", "MLN", "Luo", "Wan", "Hozo", "Bland"]
Quantity = Literal["median", "difference of medians", "ratio of medians", "mean", "mean difference"]

METHOD_WORDS: Final = {
    "MM": "median of study medians",
    "WM": "weighted median of study medians",
    "QE": "quantile estimation",
    "CD": "confidence distributions",
    "BC": "Box-Cox",
    "MLN": "Box-Cox by likelihood (MLN)",
    "Luo": "Luo's mean with Wan's and Shi's SD",
    "Wan": "simple mean with Wan's SD",
    "Hozo": "Hozo's mean and SD",
    "Bland": "Bland's mean and SD",
}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StudyGroup:
    """What the studies print of one group, as it was read; arrays are read-only.

    Attributes
    ----------
    values : ndarray, shape (k, 5)
        Minimum, lower quartile, median, upper quartile and maximum, nan where not printed.
    n, mean, sd : ndarray, shape (k,)
        Patients, printed mean and SD; nan where not printed.
    ci_lower, ci_upper : ndarray, shape (k,)
        Printed confidence interval of the median.
    scenario : tuple of str
        What each study prints: "S1" (median and extremes), "S2" (median and quartiles), "S3" (all five), "mean and SD",
        "median", or "nothing usable".
    family : tuple of str
        Law that the method read from each summary; empty where it read none.
    skewness : SkewnessTest
        Test of each summary, three arrays of shape (k,).
    """

    values: FloatArray
    n: FloatArray
    mean: FloatArray
    sd: FloatArray
    ci_lower: FloatArray
    ci_upper: FloatArray
    scenario: tuple[str, ...]
    family: tuple[str, ...]
    skewness: SkewnessTest

    def columns(self, suffix: str = "") -> dict[str, object]:
        """Columns of a study frame."""
        names = ("min", "q1", "median", "q3", "max")
        found: dict[str, object] = {"scenario": self.scenario, "n": self.n}
        found |= {name: self.values[:, i] for i, name in enumerate(names)}
        found |= {"mean": self.mean, "sd": self.sd, "family": self.family}
        found |= {
            "skewness": self.skewness.statistic,
            "skewness_critical": self.skewness.critical,
            "skewed": self.skewness.skewed,
        }
        return {f"{name}{suffix}": column for name, column in found.items()}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AggregatedMedians:
    """Medians or means over studies, as made by `netsynth.aggregate_medians`.

    Arrays are read-only, shape (k,), one entry a study in the order given, used or not.

    Attributes
    ----------
    quantity : str
        "median", "difference of medians", "ratio of medians", "mean" or "mean difference".
    method : str
        How it was found.
    estimate : float
        In the unit of the data; a ratio as a ratio.
    effect : PooledEffect or None
        The random-effects model behind it; None for "MM" and "WM", which have none.
    study : tuple of str
        All studies.
    used : ndarray of bool
        Which of them enter.
    reason : tuple of str
        Why one does not; empty for those that do.
    study_estimate, study_se : ndarray
        What enters, ratios as logarithms; nan for studies that do not, and errors of "MM" and "WM".
    study_weight : ndarray
        Numbers of patients for "WM", ones for "MM", and shares of the weight in the model.
    groups : tuple of StudyGroup
        What was printed of the one or two groups.
    se_method : str
        "bootstrap" or "naive" for means; "asymptotic" for medians; "none" for "MM" and "WM".
    warnings : tuple of Caution
    """

    quantity: Quantity
    method: MedianMethod
    estimate: float
    effect: PooledEffect | None
    study: tuple[str, ...]
    used: BoolArray
    reason: tuple[str, ...]
    study_estimate: FloatArray
    study_se: FloatArray
    study_weight: FloatArray
    groups: tuple[StudyGroup, ...]
    se_method: str
    warnings: tuple[Caution, ...] = ()

    @property
    def k(self) -> int:
        """Number of studies that enter."""
        return int(self.used.sum())

    @property
    def pooled(self) -> bool:
        """Whether more than one study enters."""
        return self.k > 1

    @property
    def skewed(self) -> tuple[str, ...]:
        """Studies that a test finds skewed in one of their groups, at the 5% level."""
        any_group = np.any([group.skewness.skewed for group in self.groups], axis=0)
        return tuple(name for name, is_skewed in zip(self.study, any_group, strict=True) if is_skewed)

    def order_interval(self, level: float = 0.95) -> MedianInterval:
        """Exact interval of "MM" and "WM" between two study values, from the (weighted) sign test.

        It asks where the median of the population of studies lies from which these are independent draws. With few
        studies there is none, and the reason is given.

        Raises
        ------
        InvalidInputError
            If the level is not a fraction, or the method has a model instead.
        """
        level = _validate.level(level)
        self._without_model()
        y, w = self.study_estimate[self.used], self.study_weight[self.used]
        found = weighted_sign_limits(y, w, level)
        if found.lower_rank == 0:
            studies = _format.plural(self.k, "study", "studies")
            reason = (
                f"no {100 * level:g}% interval exists for the median of {studies}, it takes at least "
                f"{orderstats.fewest_for_median(level)}; the coverage of the range is {100 * found.coverage:g}%"
            )
            return MedianInterval(math.nan, math.nan, level, found.coverage, None, reason)
        low, high = self._natural(found.lower), self._natural(found.upper)
        return MedianInterval(low, high, level, found.coverage, (found.lower_rank, found.upper_rank))

    def approximate_interval(self, level: float = 0.95) -> Interval:
        """Interval of "MM" and "WM" between quantiles of the study values, normal approximation to the sign test.

        Raises
        ------
        InvalidInputError
            If the level is not a fraction, or the method has a model instead.
        """
        level = _validate.level(level)
        self._without_model()
        y, w = self.study_estimate[self.used], self.study_weight[self.used]
        ends = quantile_limits(y, w if self.method == "WM" else None, level)
        return Interval(*map(self._natural, ends))

    def confidence_interval(self, level: float = 0.95) -> Interval:
        """Interval of the estimate in the unit of the data.

        Of the model for the pooled methods, with the jackknife over studies and t on k - 1 degrees of freedom for "CD"
        as published; `order_interval` for "MM" and "WM", nan where that has none.
        """
        level = _validate.level(level)
        if self.effect is None:
            found = self.order_interval(level)
            return Interval(found.lower, found.upper)
        if self.method == "CD" and self.pooled:
            effect = self.effect
            error = jackknife(effect.study_estimate, effect.study_se**2, np.asarray(effect.tau2))
            ends = intervals.limits(error.mean, error.se, error.df, level)
            return Interval(float(ends.lower), float(ends.upper))
        return self.effect.natural_interval(level)

    def prediction_interval(self, level: float = 0.95) -> Interval:
        """Where the true value of a new study may lie; nan for "MM" and "WM", which have no model of studies."""
        if self.effect is None:
            return Interval(math.nan, math.nan)
        return self.effect.natural_prediction_interval(level)

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row in the unit of the data."""
        import pandas as pd

        ci, pi = self.confidence_interval(level), self.prediction_interval(level)
        effect = self.effect
        row = {
            "method": self.method,
            "estimate": self.estimate,
            "ci_lower": ci.lower,
            "ci_upper": ci.upper,
            "pi_lower": pi.lower,
            "pi_upper": pi.upper,
            "coverage": self.order_interval(level).coverage if effect is None else math.nan,
            "tau2": math.nan if effect is None else effect.tau2,
            "i2": math.nan if effect is None else effect.i2,
            "q": math.nan if effect is None else effect.q,
            "k": self.k,
            "k_given": len(self.study),
            "n_skewed": len(self.skewed),
            "se_method": self.se_method,
        }
        return pd.DataFrame([row], index=pd.Index([self.quantity], name="quantity"))

    def study_frame(self) -> pd.DataFrame:
        """One unrounded row a study, used or not: what it prints, what was made of it, and why it is left out."""
        import pandas as pd

        columns: dict[str, object] = {
            "estimate": self.study_estimate,
            "se": self.study_se,
            "weight": self.study_weight,
            "used": self.used,
            "reason": self.reason,
        }
        for number, group in enumerate(self.groups, 1):
            columns |= group.columns(f"_{number}" if len(self.groups) > 1 else "")
        return pd.DataFrame(columns, index=pd.Index(self.study, name="study"))

    def to_dict(self, level: float = 0.95) -> JSON:
        """Everything as plain Python, for JSON: the columns of the summary, the studies, and the warnings.

        What is undefined is None, for JSON knows no nan.
        """
        frame = self.summary_frame(level)
        return {
            "quantity": self.quantity,
            "level": level,
            **dict(zip(frame.columns, map(_format.plain, frame.iloc[0]), strict=True)),
            "studies": _format.plain_rows(self.study_frame()),
            "warnings": [str(warning) for warning in self.warnings],
        }

    def plot(self, *, ax: Axes | None = None, level: float = 0.95) -> Axes:
        """Forest plot: of the model, and for "MM" and "WM" of study medians with what is printed; needs matplotlib."""
        if self.effect is None:
            from netsynth.plots.medians import medians_plot

            return medians_plot(self, ax=ax, level=level)
        from netsynth.plots.forest import forest_plot

        return forest_plot(self.effect, ax=ax, level=level)

    def _without_model(self) -> None:
        if self.effect is not None:
            raise InvalidInputError(
                f"{self.method} has a model, so its interval is confidence_interval; this one is of MM and WM."
            )

    def _natural(self, value: float) -> float:
        return math.exp(value) if self.quantity == "ratio of medians" else value

    def _shown(self, interval: Interval | MedianInterval) -> str:
        if math.isnan(interval.lower):
            return "undefined"
        return f"[{self._size(interval.lower)}, {self._size(interval.upper)}]"

    def _size(self, natural: float) -> str:
        beyond = _format.past(natural, 2) if self.quantity == "ratio of medians" else ""
        return beyond or _format.significant(natural)

    def __str__(self) -> str:
        left_out = len(self.study) - self.k
        title = f"{self.quantity.capitalize()}, {METHOD_WORDS[self.method]} ({self.method}), k = {self.k}"
        title += f" of {len(self.study)}" if left_out else ""
        lines = [title, f"  estimate  {self._size(self.estimate)}"]
        if self.effect is None:
            found = self.order_interval()
            coverage = f" (coverage {100 * found.coverage:.1f}%)" if found.ranks else ""
            lines[1] += f"   95% CI {self._shown(found)}{coverage}"
            lines += [f"  {found.reason}"] if found.reason else []
        else:
            lines[1] += f"   95% CI {self._shown(self.confidence_interval())}"
            lines[1] += f"   95% PI {self._shown(self.prediction_interval())}"
            if self.pooled:
                lines.append(
                    f"  tau2 {_format.significant(self.effect.tau2)} by {self.effect.tau2_method}   "
                    f"I2 {100 * self.effect.i2:.0f}%   errors of studies: {self.se_method}"
                )
        if self.skewed:
            tested = int(np.any([np.isfinite(g.skewness.critical) for g in self.groups], axis=0).sum())
            lines.append(f"  skewed (5% test): {len(self.skewed)} of {tested} studies tested")
        return "\n".join([*lines, *(f"  {each}" for each in self.warnings)])

    def _repr_html_(self) -> str:
        rows = [
            (name, "" if math.isnan(y) else _format.significant(self._natural(y)), group, why)
            for name, y, group, why in zip(
                self.study, self.study_estimate.tolist(), self.groups[0].scenario, self.reason, strict=True
            )
        ]
        header = ("study", self.quantity, "prints", "left out because")
        return _format.html_table(header, rows, caption=str(self).partition("\n")[0])


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ConvertedMeans:
    """Means and standard deviations read from five-number summaries, as made by `netsynth.convert_five_numbers`.

    Arrays are read-only, shape (k,), in the order given; nan where a study has no answer, and `reason` says why.

    Attributes
    ----------
    method : str
        How they were found.
    study : tuple of str
    mean, sd : ndarray
        Estimates, or what was printed where `printed`.
    mean_se, sd_se : ndarray
        Standard errors by the parametric bootstrap, which know the two for estimates; of a printed mean SD / sqrt(n).
    naive_se : ndarray
        SD / sqrt(n), as if the mean had been printed: usually too small.
    printed : ndarray of bool
        Where the study prints its mean and SD, and they are handed on.
    reason : tuple of str
        Why a study has no answer; empty where it has one.
    group : StudyGroup
        What was printed, with the law that the method read and the test of skewness.
    warnings : tuple of Caution
    """

    method: MeanMethod
    study: tuple[str, ...]
    mean: FloatArray
    sd: FloatArray
    mean_se: FloatArray
    sd_se: FloatArray
    naive_se: FloatArray
    printed: BoolArray
    reason: tuple[str, ...]
    group: StudyGroup
    warnings: tuple[Caution, ...] = ()

    @property
    def skewed(self) -> tuple[str, ...]:
        """Studies whose summary a test finds skewed, at the 5% level."""
        return tuple(
            name for name, is_skewed in zip(self.study, self.group.skewness.skewed, strict=True) if is_skewed
        )

    def summary_frame(self) -> pd.DataFrame:
        """One unrounded row a study."""
        import pandas as pd

        group = self.group.columns()
        columns = {
            "scenario": group["scenario"],
            "n": group["n"],
            "mean": self.mean,
            "mean_se": self.mean_se,
            "naive_se": self.naive_se,
            "sd": self.sd,
            "sd_se": self.sd_se,
            "printed": self.printed,
            "family": group["family"],
            "skewness": group["skewness"],
            "skewness_critical": group["skewness_critical"],
            "skewed": group["skewed"],
            "reason": self.reason,
        }
        return pd.DataFrame(columns, index=pd.Index(self.study, name="study"))

    def to_dict(self) -> JSON:
        """Everything as plain Python, for JSON: the studies and the warnings; what is undefined is None."""
        return {
            "method": self.method,
            "studies": _format.plain_rows(self.summary_frame()),
            "warnings": [str(warning) for warning in self.warnings],
        }

    def _rows(self) -> list[tuple[str, ...]]:
        def shown(value: float) -> str:
            return "" if math.isnan(value) else _format.significant(value)

        return [
            (name, kind, shown(mean), shown(se), shown(sd), "printed" if printed else family, why)
            for name, kind, mean, se, sd, printed, family, why in zip(
                self.study,
                self.group.scenario,
                self.mean.tolist(),
                self.mean_se.tolist(),
                self.sd.tolist(),
                self.printed.tolist(),
                self.group.family,
                self.reason,
                strict=True,
            )
        ]

    def __str__(self) -> str:
        header = ("study", "prints", "mean", "se", "SD", "law", "no answer because")
        table = _format.text_table(header, self._rows())
        title = f"Mean and SD from five numbers by {self.method} ({METHOD_WORDS[self.method]})"
        return "\n".join([title, table, *(str(each) for each in self.warnings)])

    def _repr_html_(self) -> str:
        header = ("study", "prints", "mean", "se", "SD", "law", "no answer because")
        return _format.html_table(header, self._rows(), caption=f"Mean and SD by {self.method}")
