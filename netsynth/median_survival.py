"""Pooling median survival times, those that were not reached included."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate
from netsynth._five_numbers import overlap_cautions
from netsynth._reported_medians import MedianRow, median_rows
from netsynth.data.endpoint import Endpoint
from netsynth.data.selection import OverlapRule
from netsynth.data.study import Role
from netsynth.errors import (
    Caution,
    FewStudiesWarning,
    ImputedVarianceWarning,
    InvalidInputError,
    NetsynthWarning,
    UnusableDataWarning,
    caution,
)
from netsynth.kernels import censored_effects
from netsynth.kernels.intervals import critical_value
from netsynth.kernels.scales import EffectMeasure
from netsynth.pool import pool_effects
from netsynth.results.median_survival import (
    MEDIAN_CI_METHODS,
    LeftOut,
    MedianCiMethod,
    MedianScale,
    PooledMedianSurvival,
)

__all__ = ["pool_median_survival"]

#: Share of the patients who had the event, where neither an interval nor events are printed: a median that was reached
#: says that about half had.
EVENT_SHARE: Final = 0.5
_USER: Final = (
    4  # frames from `caution` up to the caller of the verb: caution, _cautions, the verb, its caller
)


def pool_median_survival(
    data: object,
    endpoint: str | Endpoint = "OS",
    *,
    ci_lower: npt.ArrayLike | None = None,
    ci_upper: npt.ArrayLike | None = None,
    follow_up_months: npt.ArrayLike | None = None,
    n_events: npt.ArrayLike | None = None,
    n_total: npt.ArrayLike | None = None,
    ci_level: float = 0.95,
    study: Iterable[str] | None = None,
    sets: Sequence[str] | None = None,
    roles: Sequence[Role] = ("overall", "arm"),
    overlap: OverlapRule = "largest",
    scale: MedianScale = "log",
    event_share: float = EVENT_SHARE,
    ci_method: MedianCiMethod = "mHK",
) -> PooledMedianSurvival:
    r"""Pool median survival times under the random-effects model; a median not reached enters as the bound it is.

    Parameters
    ----------
    data : Review, sequence of ReportedTime, mapping or data frame, or array_like of shape (k,)
        A review; records of one endpoint; medians in months, nan for a median that was not reached, which then needs
        `follow_up_months` or `ci_lower`; or a table whose columns "median", "study" and so on have the names of the
        arguments, "ci_level" and "endpoint" among them. Medians may be texts or `ReportedNumber` too, such as
        ">96 months" or "NR".
    endpoint : str or Endpoint
        Which endpoint of a review; what arrays are of.
    ci_lower, ci_upper : array_like of float, shape (k,), optional
        With an array: limits of the confidence interval in months, or as texts; nan for one that is not printed, and an
        upper one that was not reached is infinite, or "NR".
    follow_up_months : array_like of float, shape (k,), optional
        With an array: the last time at which each curve is known, or the median follow-up, which lies before it.
    n_events, n_total : array_like of float, shape (k,), optional
        With an array: events and patients, nan where not printed.
    ci_level : float
        Level of the intervals of an array.
    study : iterable of str, optional
        With an array: labels.
    sets, roles, overlap
        With a review: how one median a study is chosen, as in `Review.select_times`.
    scale : {"log", "natural"}
        Scale of pooling. Medians are positive and their errors grow with them, which speaks for the logarithm.
    event_share : float
        Share of the patients taken to have had the event where a study prints neither a confidence interval nor
        events, in (0, 1].
    ci_method : {"mHK", "t", "wald", "profile"}
        As in `PooledMedianSurvival.confidence_interval`.

    Returns
    -------
    PooledMedianSurvival
        With the study table, the studies left out and why, and the same without open ends or with bounds taken for
        medians beside it.

    Raises
    ------
    InvalidInputError
        If no study prints a median that was reached and can be used, lengths differ, a time is not positive, limits do
        not hold their median, a median was not reached although more than half of the patients had the event, records
        are of different endpoints, or a name is unknown.

    Warns
    -----
    ImputedVarianceWarning
        A standard error rests on one limit, on events, or on numbers of patients.
    UnusableDataWarning
        A study is left out; the message says why.
    OverlapWarning
        Two medians carry the same label.
    FewStudiesWarning
        With one or two medians that were reached.

    Notes
    -----
    With :math:`y_i = \ln M_i` and the standard error :math:`(\ln U_i - \ln L_i) / (2 z)` from the confidence interval,
    or :math:`1 / (\sqrt d \ln 2)` from d events, the error of an exponential median [1]_, the model is
    :math:`y_i \sim N(\mu, s_i^2 + \tau^2)`. A median not reached by time t contributes
    :math:`P(y_i > \ln t) = \Phi\{(\mu - \ln t) / \sqrt{s_i^2 + \tau^2}\}` to the likelihood, where :math:`s_i` allows
    for the sampling error of the median that it would have had. :math:`\tau` maximises the likelihood integrated over
    :math:`\mu`; without open ends all is REML, as `pool_effects` has it.

    References
    ----------
    .. [1] Brookmeyer R, Crowley J (1982). A confidence interval for the median survival time. Biometrics 38:29-41.
       https://doi.org/10.2307/2530286

    Examples
    --------
    >>> result = pool_median_survival(
    ...     [34, 46, 55, 41, float("nan")], study=["A", "B", "C", "D", "E"],
    ...     ci_lower=[27, 38, 40, 30, 52], ci_upper=[43, 56, 75, 56, float("nan")],
    ...     follow_up_months=[60, 72, 80, 65, 60], n_total=[80, 120, 70, 60, 95],
    ... )
    >>> print(result)
    Median OS in months (log scale), random effects, tau2 by REML, CI by mHK, k = 5, 1 open-ended
      estimate  46.5   95% CI [31.7, 68.1]   95% PI [20.0, 108]
      tau2 0.0493   95% CI [0, 0.716]
      the studies tell as much as 4.8 printed medians
      for comparison, open ends dropped: 42.9 [31.3, 58.8]
      for comparison, bounds taken for medians: 44.9 [34.2, 59.0]
    """
    _validate.choice(scale, "scale", ("log", "natural"))
    _validate.choice(ci_method, "ci_method", MEDIAN_CI_METHODS)
    if not 0 < event_share <= 1:
        raise InvalidInputError(f"event_share must be a share in (0, 1]; got {event_share!r}.")
    columns = {
        "ci_lower": ci_lower,
        "ci_upper": ci_upper,
        "follow_up_months": follow_up_months,
        "n_events": n_events,
        "n_total": n_total,
    }
    rows, label = median_rows(data, endpoint, columns, study, _validate.level(ci_level), sets, roles, overlap)
    evidence = [_evidence(row, scale, event_share) for row in rows]
    left_out = tuple(
        LeftOut(row.study, found) for row, found in zip(rows, evidence, strict=True) if isinstance(found, str)
    )
    taken = [(row, found) for row, found in zip(rows, evidence, strict=True) if not isinstance(found, str)]
    known = [found.lower == found.upper for _, found in taken]
    if not any(known):
        raise InvalidInputError(_nothing_known(taken, left_out, label, scale))
    said = _cautions(label, rows, taken, left_out)
    names = tuple(row.study for row, _ in taken)
    low, high, se = (np.array(column) for column in zip(*[found[:3] for _, found in taken], strict=True))
    is_known = np.array(known)
    measure: EffectMeasure = "log_median_time" if scale == "log" else "median"
    with warnings.catch_warnings():  # what there is to say is said of the result itself
        warnings.simplefilter("ignore", NetsynthWarning)
        bound = np.where(np.isfinite(low), low, high)
        dropped, imputed = (
            replace(
                pool_effects(bound[keep], se=se[keep], measure=measure, study=list(np.array(names)[keep])),
                unit="in months",
            )
            for keep in (is_known, np.ones_like(is_known))
        )
    if is_known.sum() == 1:
        low, high, se, names = low[is_known], high[is_known], se[is_known], (names[known.index(True)],)
        taken = [pair for pair, keep in zip(taken, known, strict=True) if keep]
        fit = censored_effects.CensoredFit(low[0], se[0], np.asarray(np.nan), np.ones(1), np.asarray(np.nan))
    else:
        fit = censored_effects.fit(low, high, se**2)
    ci_low, ci_high, levels = (
        np.array(column)
        for column in zip(*[(row.ci_lower, row.ci_upper, row.level) for row, _ in taken], strict=True)
    )
    for array in (low, high, se, fit.share, ci_low, ci_high, levels):
        array.setflags(write=False)
    return PooledMedianSurvival(
        endpoint=label,
        scale=scale,
        estimate=float(fit.mean),
        se=float(fit.se),
        tau2=float(fit.tau2),
        df=float(fit.n_effective) - 1.0,
        knapp_hartung=float(fit.scale),
        ci_method=ci_method,
        study=names,
        lower=low,
        upper=high,
        study_se=se,
        share=fit.share,
        route=tuple(found.route for _, found in taken),
        printed=tuple(row.printed for row, _ in taken),
        ci_lower=ci_low,
        ci_upper=ci_high,
        ci_level=levels,
        left_out=left_out,
        dropped=dropped,
        imputed=imputed,
        warnings=said,
    )


class _Evidence(NamedTuple):
    lower: float
    upper: float
    se: float
    route: str
    doubt: str  # why the standard error is not simply that of a confidence interval


def _evidence(row: MedianRow, scale: MedianScale, event_share: float) -> _Evidence | str:
    """What a study says of its median on the scale, or why it says nothing that can be used."""

    def to(time: float) -> float:
        return math.log(time) if scale == "log" else time

    z = float(critical_value(math.inf, row.level))
    if not math.isnan(row.median):
        y = to(row.median)
        se, route, doubt = _error(row, row.median, y, z, scale, event_share)
        return _Evidence(y, y, se, route, doubt) if se > 0 else doubt
    if not math.isnan(row.below):
        at, ends = row.below, (-math.inf, to(row.below))
    else:
        # the latest time before which the curve is known to stay above one half
        times = [time for time in (row.above, row.follow_up, row.ci_lower) if time > 0]
        if not times:
            return "its median was not reached, and neither a time nor a lower limit is printed"
        at = row.above if not math.isnan(row.above) else max(times)
        ends = (to(at), math.inf)
    # the error matters little beside tau2, so that of an open end is no reason for a warning
    se, route, _ = _from_numbers(row, at, scale, event_share)
    if not se > 0 and 0 < row.ci_lower < at:
        se, route = (to(at) - to(row.ci_lower)) / z, "lower limit to the bound"
    if not se > 0:
        return "its median is open-ended, and neither patients nor events are printed"
    return _Evidence(*ends, se, route, "")


def _error(
    row: MedianRow, median: float, y: float, z: float, scale: MedianScale, event_share: float
) -> tuple[float, str, str]:
    """Standard error of a printed median, where it is from, and what is doubtful about that."""

    def to(time: float) -> float:
        return math.log(time) if scale == "log" else time

    has_lower, has_upper = 0 < row.ci_lower < math.inf, 0 < row.ci_upper < math.inf
    if has_lower and has_upper and row.ci_lower < row.ci_upper:
        return (to(row.ci_upper) - to(row.ci_lower)) / (2 * z), "confidence interval", ""
    if has_lower and row.ci_lower < median:
        half = y - to(row.ci_lower)
        if row.ci_upper == math.inf or math.isnan(row.ci_upper):
            # an upper limit that was not reached lies beyond the end of the curve
            beyond = to(row.follow_up) - y if row.follow_up > median else 0.0
            return max(half, beyond) / z, "lower limit", "lower limit alone"
    if has_upper and row.ci_upper > median:
        return (to(row.ci_upper) - y) / z, "upper limit", "upper limit alone"
    se, route, doubt = _from_numbers(row, median, scale, event_share)
    return se, route, doubt or "it prints neither a confidence interval nor events nor patients"


def _from_numbers(
    row: MedianRow, time: float, scale: MedianScale, event_share: float
) -> tuple[float, str, str]:
    """Standard error of an exponential median from events or patients, at a time; 0 where neither is printed."""
    unit = 1.0 if scale == "log" else time
    if row.n_events > 0:
        return unit / (math.sqrt(row.n_events) * math.log(2.0)), "events", "events"
    if row.n_total > 0:
        return unit / (math.sqrt(event_share * row.n_total) * math.log(2.0)), "patients", "patients"
    return 0.0, "", ""


def _nothing_known(
    taken: Sequence[tuple[MedianRow, _Evidence]], left_out: Sequence[LeftOut], label: str, scale: MedianScale
) -> str:
    if taken:
        bounds = _format.listing(f"{row.study} ({_bound(row, found, scale)})" for row, found in taken)
        return (
            f"median {label}: no study prints a median that was reached, so its size is not known, only bounds: "
            f"{bounds}. Use median_range for what they say together."
        )
    return f"median {label}: {left_out[0].study}: {left_out[0].reason}. No study can be used."


def _bound(row: MedianRow, found: _Evidence, scale: MedianScale) -> str:
    """What a study with an open end prints, and the bound that comes of it where it prints none."""
    if not (math.isnan(row.above) and math.isnan(row.below)):
        return row.printed
    time = math.exp(found.lower) if scale == "log" else found.lower
    return f"{row.printed}, above {_format.shortest(time, 1)} months"


def _cautions(
    label: str,
    rows: Sequence[MedianRow],
    taken: Sequence[tuple[MedianRow, _Evidence]],
    left_out: Sequence[LeftOut],
) -> tuple[Caution, ...]:
    where = f"median {label}"
    said = overlap_cautions([row.study for row in rows], where=where, stacklevel=_USER + 1)
    if left_out:
        parts = [f"{study} ({reason})" for study, reason in left_out]
        said.append(
            caution(UnusableDataWarning, f"not used: {_format.listing(parts)}", where=where, stacklevel=_USER)
        )
    by_doubt: dict[str, list[str]] = {}
    for row, found in taken:
        if found.doubt:
            by_doubt.setdefault(found.doubt, []).append(row.study)
    words = {
        "lower limit alone": "the lower limit alone, which makes them too small where the interval is skewed",
        "upper limit alone": "the upper limit alone",
        "events": "the events, as if survival were exponential",
        "patients": "a share of the patients taken for events, as if survival were exponential",
    }
    for doubt, names in by_doubt.items():
        message = f"standard errors rest on {words[doubt]}: {_format.listing(names)}"
        said.append(caution(ImputedVarianceWarning, message, where=where, stacklevel=_USER))
    known = [row.study for row, found in taken if found.lower == found.upper]
    n_open = len(taken) - len(known)
    if len(known) == 1:
        open_ends = f" The {_format.plural(n_open, 'open end')} cannot be used beside it." if n_open else ""
        message = f"{known[0]} is the only study whose median was reached, so nothing is pooled.{open_ends}"
        said.append(caution(FewStudiesWarning, message, where=where, stacklevel=_USER))
    elif len(known) == 2:
        message = "two medians that were reached say next to nothing about tau2"
        said.append(caution(FewStudiesWarning, message, where=where, stacklevel=_USER))
    return tuple(said)
