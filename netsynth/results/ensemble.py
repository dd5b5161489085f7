"""Many data sets that one report could have come from, and analyses of them combined into one answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate
from netsynth._typing import JSON, FloatArray, IntArray, Interval
from netsynth.errors import Caution, InvalidInputError, UnusableDataWarning, caution
from netsynth.kernels import intervals, rubin
from netsynth.kernels.intervals import Limits
from netsynth.kernels.product_limit import product_limit, restricted_mean, survival_at
from netsynth.kernels.scales import MEASURES, EffectMeasure

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Analysis", "CombinedEstimate", "PseudoData", "PseudoEnsemble", "combine_analyses"]


class PseudoData(NamedTuple):
    """Patients of one group, one entry a patient, read-only arrays of shape (n,).

    Attributes
    ----------
    time : ndarray
        When each was last seen.
    event : ndarray of int
        1 for an event, 0 for a censoring.
    """

    time: FloatArray
    event: IntArray


#: An analysis takes the data of one group or more and returns an estimate, one number or p of them, and its variance:
#: one number, p variances, or a p by p covariance matrix.
Analysis: TypeAlias = Callable[..., tuple[npt.ArrayLike, npt.ArrayLike]]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CombinedEstimate:
    """One analysis of every data set of an ensemble, combined by Rubin's rules, from `PseudoEnsemble.combine`.

    `estimate`, `se`, `df` and `reporting_loss` are numbers when the analysis returned one, else read-only arrays of
    shape (p,). All but what is called natural is on the scale of `measure`.

    Attributes
    ----------
    measure : str
        The scale of the estimates; "generic" for none in particular.
    label : tuple of str
        What each estimate is of, shape (p,).
    estimate, se : float or ndarray
        Mean of the estimates, and its standard error, in which both sampling and reporting are.
    df : float or ndarray
        Degrees of freedom of the interval.
    reporting_loss : float or ndarray
        Share of the variance that is there only because the data were not reported whole, a fraction; nan where there
        is no variance.
    covariance : ndarray, shape (p, p)
        Of the estimates.
    within, between : ndarray, shape (p, p)
        Mean covariance of the analyses, and covariance of their estimates.
    n_draws : int
        Data sets, 1 for patients known one by one.
    warnings : tuple of Caution
        What to keep in mind.
    """

    measure: EffectMeasure
    label: tuple[str, ...]
    estimate: float | FloatArray
    se: float | FloatArray
    df: float | FloatArray
    reporting_loss: float | FloatArray
    covariance: FloatArray
    within: FloatArray
    between: FloatArray
    n_draws: int
    warnings: tuple[Caution, ...] = ()

    def confidence_interval(self, level: float = 0.95) -> Interval | Limits:
        """Interval by t with `df` degrees of freedom; two numbers or two arrays, as the estimate is."""
        lower, upper = self._limits(level)
        return self._as_given(lower, upper)

    @property
    def natural(self) -> float | FloatArray:
        """The estimate on the printed scale: a probability, a hazard ratio."""
        value = MEASURES[self.measure].from_scale(self.estimate)
        return float(value) if value.ndim == 0 else value

    def natural_interval(self, level: float = 0.95) -> Interval | Limits:
        """`confidence_interval` on the printed scale, the smaller limit first."""
        ends = np.sort(MEASURES[self.measure].from_scale(np.stack(self._limits(level))), axis=0)
        return self._as_given(*ends)

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row an estimate."""
        import pandas as pd

        lower, upper = self._limits(level)
        columns = {
            "estimate": self.estimate,
            "se": self.se,
            "ci_lower": lower,
            "ci_upper": upper,
            "df": self.df,
            "within": np.diag(self.within),
            "between": np.diag(self.between),
            "reporting_loss": self.reporting_loss,
        }
        rows = {name: np.atleast_1d(values) for name, values in columns.items()}
        return pd.DataFrame(rows, index=pd.Index(self.label, name="estimand"))

    def to_dict(self, level: float = 0.95) -> JSON:
        """Plain dict for JSON."""
        return {
            "measure": self.measure,
            "n_draws": self.n_draws,
            "level": level,
            "estimates": _format.plain_rows(self.summary_frame(level)),
            "covariance": [[_format.plain(value) for value in row] for row in self.covariance],
            "warnings": [str(warning) for warning in self.warnings],
        }

    def _limits(self, level: float) -> Limits:
        return intervals.limits(
            np.atleast_1d(self.estimate),
            np.atleast_1d(self.se),
            np.atleast_1d(self.df),
            _validate.level(level),
        )

    def _as_given(self, lower: FloatArray, upper: FloatArray) -> Interval | Limits:
        if isinstance(self.estimate, float):
            return Interval(float(lower[0]), float(upper[0]))
        return Limits(lower, upper)

    def _rows(self) -> list[tuple[str, str, str, str]]:
        scale = MEASURES[self.measure]
        values = np.atleast_1d(self.natural)
        ends = np.sort(scale.from_scale(np.stack(self._limits(0.95))), axis=0)

        def shown(value: float) -> str:
            return (
                f"{_format.number(100 * value, 1)}%"
                if scale.kind == "probability"
                else _format.significant(value)
            )

        return [
            (label, shown(value), f"[{shown(low)}, {shown(high)}]", f"{_format.number(100 * loss, 0)}%")
            for label, value, low, high, loss in zip(
                self.label, values, *ends, np.atleast_1d(self.reporting_loss), strict=True
            )
        ]

    def _title(self) -> str:
        label = MEASURES[self.measure].label
        if self.n_draws == 1:
            return f"{label} from patients known one by one"
        return f"{label} from {self.n_draws} data sets that the report allows"

    def __str__(self) -> str:
        table = _format.text_table(_HEADER, self._rows())
        lines = [self._title(), *(f"  {line}" for line in table.splitlines())]
        return "\n".join([*lines, *(f"  {warning}" for warning in self.warnings)])

    def _repr_html_(self) -> str:
        return _format.html_table(_HEADER, self._rows(), caption=self._title())


_HEADER = ("", "estimate", "95% CI", "variance lost to reporting")


@dataclass(frozen=True, slots=True, eq=False)
class PseudoEnsemble:
    """Data sets of one group of patients, each of which a report could have come from, equally weighted.

    They are drawn, not found: none of them is the data, and an analysis of one alone claims to know too much. Analyse
    them all with `combine`.

    Attributes
    ----------
    label : str
        Whose patients.
    draws : tuple of PseudoData
        The data sets, all of the same number of patients; times in the unit of what made them.
    endpoint : str
        Code of what is counted, empty where it is not known.

    Raises
    ------
    InvalidInputError
        If there are fewer than two data sets or they differ in size.

    Examples
    --------
    >>> one = PseudoData(np.array([2.0, 3, 5, 7]), np.array([1, 1, 0, 0]))
    >>> other = PseudoData(np.array([1.0, 4, 5, 7]), np.array([1, 0, 1, 0]))
    >>> print(PseudoEnsemble("Example", (one, other)).survival([4.5]))
    Survival from 2 data sets that the report allows
                       estimate  95% CI         variance lost to reporting
      survival at 4.5     64.0%  [0.0%, 97.6%]                         43%
    """

    label: str
    draws: tuple[PseudoData, ...]
    endpoint: str = ""

    def __post_init__(self) -> None:
        if len(self.draws) < 2:
            raise InvalidInputError(f"An ensemble needs at least two data sets; got {len(self.draws)}.")
        sizes = {array.shape for data in self.draws for array in data}
        if len(sizes) > 1:
            raise InvalidInputError(f"All data sets must have the same shape; got {sorted(sizes)}.")
        for data in self.draws:
            for array in data:
                array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.draws)

    @property
    def n_total(self) -> int:
        """Patients in each data set."""
        return self.draws[0].time.size

    def combine(
        self, analysis: Analysis, *others: PseudoEnsemble, measure: EffectMeasure = "generic"
    ) -> CombinedEstimate:
        """Analyse every data set and combine the answers by Rubin's rules; see `combine_analyses`."""
        return combine_analyses(analysis, self, *others, measure=measure)

    def survival(self, time: Sequence[float] | FloatArray) -> CombinedEstimate:
        """Kaplan-Meier survival at these times, on the log(-log) scale with the full covariance.

        nan at a time when survival is 0 or 1 in a data set, and after its last patient left.
        """
        at = _validate.increasing_1d(time, "time", where=self.label)
        fit = product_limit(*self._arrays())
        found = survival_at(fit, at)
        with np.errstate(divide="ignore", invalid="ignore"):
            log = np.log(found.estimate)
            estimate = np.where(log < 0, np.log(-log), np.nan)
            # Greenwood's sum at the earlier of two times is the covariance of the logarithms of survival
            shared = np.minimum(found.variance[:, :, None], found.variance[:, None, :])
            covariance = shared / (log[:, :, None] * log[:, None, :])
        label = tuple(f"survival at {_format.shortest(t, 2)}" for t in at.tolist())
        return _combined(estimate, covariance, label, "cloglog_survival", is_one=False, where=self.label)

    def rmst(self, horizon: float) -> CombinedEstimate:
        """Restricted mean survival time up to a horizon; nan if the last patient of a data set left before it."""
        (h,) = _validate.positive_1d([horizon], "horizon", where=self.label)
        mean, variance = restricted_mean(product_limit(*self._arrays()), np.array([h]))
        label = (f"mean up to {_format.shortest(float(h), 2)}",)
        return _combined(mean, variance[:, :, None], label, "generic", is_one=True, where=self.label)

    def frame(self) -> pd.DataFrame:
        """One row a patient and data set: draw, time, event."""
        import pandas as pd

        time, event = self._arrays()
        draw = np.repeat(np.arange(len(self)), self.n_total)
        return pd.DataFrame({"draw": draw, "time": time.ravel(), "event": event.ravel()})

    def _arrays(self) -> tuple[FloatArray, IntArray]:
        return np.stack([data.time for data in self.draws]), np.stack([data.event for data in self.draws])

    def __str__(self) -> str:
        return (
            f"{self.label or 'Ensemble'}: {len(self)} data sets of {_format.plural(self.n_total, 'patient')}"
        )


def combine_analyses(
    analysis: Analysis, *ensembles: PseudoEnsemble, measure: EffectMeasure = "generic"
) -> CombinedEstimate:
    r"""Analyse data sets of one or more groups and combine the answers by Rubin's rules.

    Parameters
    ----------
    analysis : callable
        Called with one `PseudoData` a group, as ``analysis(treated, control)``. Returns an estimate, a number or p
        of them, and its variance, p variances, or a p by p covariance, on a scale on which it is nearly normal.
    *ensembles : PseudoEnsemble
        One a group, with the same number of data sets. Groups are independent, so that the first data set of one
        goes with the first of the other.
    measure : str
        The scale of the estimates, for printing and for `natural`.

    Returns
    -------
    CombinedEstimate
        With :math:`T = \bar W + (1 + 1/b) B` as its variance; see the kernel.

    Raises
    ------
    InvalidInputError
        If the ensembles differ in the number of data sets, a measure is unknown, or an analysis returns something else.

    Warns
    -----
    UnusableDataWarning
        If an answer is nan for some data sets; it is then nan as a whole, since leaving these out would choose.

    Examples
    --------
    Events per month of follow-up, as a logarithm with variance 1/d:

    >>> def log_rate(data):
    ...     return np.log(data.event.sum() / data.time.sum()), 1 / data.event.sum()
    >>> draws = [
    ...     PseudoData(np.array([2.0, 3, 5, 7]), np.array(events)) for events in ([1, 1, 0, 0], [1, 1, 1, 0])
    ... ]
    >>> round(combine_analyses(log_rate, PseudoEnsemble("", tuple(draws)), measure="log_rate").natural, 3)
    0.144
    """
    _validate.choice(measure, "measure", MEASURES)
    sizes = sorted({len(ensemble) for ensemble in ensembles})
    if len(sizes) != 1:
        raise InvalidInputError(f"Groups must have the same number of data sets; got {sizes}.")
    where = ensembles[0].label
    estimates, covariances = [], []
    for groups in zip(*(ensemble.draws for ensemble in ensembles), strict=True):
        answer, variance = _answer(analysis(*groups), where)
        estimates.append(answer)
        covariances.append(variance)
    shapes = sorted({answer.shape for answer in estimates})
    if len(shapes) > 1:
        raise InvalidInputError(f"The analysis returned estimates of different shapes: {shapes}.")
    is_one = estimates[0].ndim == 0
    p = 1 if is_one else estimates[0].size
    return _combined(
        np.reshape(estimates, (-1, p)),
        np.stack(covariances),
        ("estimate",) if is_one else tuple(f"estimate {i}" for i in range(1, p + 1)),
        measure,
        is_one=is_one,
        where=where,
    )


def _answer(found: object, where: str) -> tuple[FloatArray, FloatArray]:
    """Estimate and covariance matrix from what an analysis returned."""
    try:
        answer, variance = (np.asarray(part, dtype=np.float64) for part in found)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise InvalidInputError(
            f"{where or 'combine'}: an analysis must return an estimate and its variance; got {found!r:.80}."
        ) from None
    p = answer.size
    if answer.ndim > 1 or variance.shape not in {answer.shape, (p, p)}:
        raise InvalidInputError(
            f"{where or 'combine'}: an estimate of shape {answer.shape} needs a variance of that shape or a {p} by {p} "
            f"covariance; got shape {variance.shape}."
        )
    matrix = variance if variance.shape == (p, p) and answer.ndim else np.diag(variance.reshape(-1))
    return answer, matrix


def _combined(
    estimate: FloatArray,
    covariance: FloatArray,
    label: tuple[str, ...],
    measure: EffectMeasure,
    *,
    is_one: bool,
    where: str,
) -> CombinedEstimate:
    lost = np.isnan(estimate) | np.isnan(np.diagonal(covariance, axis1=1, axis2=2))
    cautions = tuple(
        caution(
            UnusableDataWarning,
            f"{name} is undefined in {lost[:, j].sum()} of {_format.plural(lost.shape[0], 'data set')}, and so it is "
            "as a whole",
            where=where,
            stacklevel=5,
        )
        for j, name in enumerate(label)
        if lost[:, j].any()
    )
    found = rubin.combine(estimate, covariance)
    se = np.sqrt(np.diag(found.total))
    for array in (*found, se):
        array.setflags(write=False)
    parts = (found.estimate, se, found.df, found.loss)
    shown = [float(part[0]) for part in parts] if is_one else parts
    return CombinedEstimate(
        measure=measure,
        label=label,
        estimate=shown[0],
        se=shown[1],
        df=shown[2],
        reporting_loss=shown[3],
        covariance=found.total,
        within=found.within,
        between=found.between,
        n_draws=estimate.shape[0],
        warnings=cautions,
    )
