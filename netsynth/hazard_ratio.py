"""The log hazard ratio and its standard error from what a paper prints."""

from __future__ import annotations

import math
from typing import TypeAlias

from netsynth.data.factor import ReportedFactor
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.kernels.log_hazard_ratio import rounding_variance, se_from_pvalue, se_from_width
from netsynth.results.hazard_ratio import LogHazardRatio, SeRoute

__all__ = ["log_hazard_ratio"]

#: Above this a printed p-value leaves z so uncertain that a standard error from it means nothing.
LARGEST_PVALUE = 0.9


def log_hazard_ratio(result: ReportedFactor) -> LogHazardRatio:
    r"""Log hazard ratio of the adverse against the reference level, with the best standard error there is.

    Parameters
    ----------
    result : ReportedFactor
        What a study says of a prognostic factor.

    Returns
    -------
    LogHazardRatio
        With nan and the reason where a number cannot be had; nothing is guessed.

    Notes
    -----
    With a confidence interval (L, U), the standard error is :math:`(\ln U - \ln L) / (2 z_{1-\alpha/2})`
    [1]_; where one limit is missing, zero or open, the half that is printed is doubled. Otherwise it is
    :math:`|\ln HR| / z_{1-p/2}` from the p-value; "p < 0.05" is taken at 0.05, which makes the standard error
    too large rather than too small, and p above 0.9 is refused. A ratio printed to the unit :math:`\delta` has
    the variance :math:`(\delta / HR)^2 / 12` of its rounding added.

    References
    ----------
    .. [1] Tierney JF, Stewart LA, Ghersi D, Burdett S, Sydes MR (2007). Practical methods for incorporating
       summary time-to-event data into meta-analysis. Trials 8:16. https://doi.org/10.1186/1745-6215-8-16

    Examples
    --------
    >>> from netsynth.data.endpoint import find_endpoint
    >>> margin = ReportedFactor(
    ...     "Mayo", "margin", find_endpoint("OS"), "R1", "R0", "multivariable",
    ...     hazard_ratio=ReportedNumber("3.9", "ratio"), ci=ReportedInterval.of("1.4", "10.5", "ratio", 0.95),
    ... )
    >>> print(log_hazard_ratio(margin))
    log hazard ratio 1.361, standard error 0.514 from the confidence interval
    """
    ratio = result.hazard_ratio
    if ratio is None:
        return LogHazardRatio(math.nan, math.nan, "")
    if not ratio.is_exact or math.isnan(result.log_hr):
        return LogHazardRatio(result.log_hr, math.nan, "", f"the ratio {ratio} is no exact positive number")
    printed = math.log(ratio.value)
    se, route, problem = _from_interval(printed, result.ci) or _from_pvalue(printed, result.pvalue)
    se = math.sqrt(se**2 + float(rounding_variance(ratio.value, 10.0**-ratio.decimals)))
    return LogHazardRatio(result.log_hr, se, route, problem, _is_lopsided(ratio, result.ci))


_Found: TypeAlias = tuple[float, SeRoute, str]


def _from_interval(log_hr: float, ci: ReportedInterval | None) -> _Found | None:
    if ci is None:
        return None
    low, high = (
        _log(end.value) if end is not None and end.is_exact else math.nan for end in (ci.lower, ci.upper)
    )
    routes: tuple[tuple[float, SeRoute], ...] = (
        (high - low, "confidence interval"),
        (2 * (high - log_hr), "upper limit"),
        (2 * (log_hr - low), "lower limit"),
    )
    for width, route in routes:
        if width > 0 and math.isfinite(width):
            return (float(se_from_width(width, ci.level or 0.95)), route, "")
    return None


def _from_pvalue(log_hr: float, pvalue: ReportedNumber | None) -> _Found:
    if pvalue is None:
        return math.nan, "", "it has neither a confidence interval nor a p-value"
    route: SeRoute = "p-value"
    p = pvalue.value
    if pvalue.qualifier in ("<", "<=") or p == 0:
        # the largest p the print allows gives the largest standard error
        p, route = pvalue.interval.upper, "bound on the p-value"
    elif not pvalue.is_exact:
        return math.nan, "", f"a p-value of {pvalue} sets no upper bound to its standard error"
    if p > LARGEST_PVALUE:
        return math.nan, "", f"a p-value of {pvalue} is too near 1 to tell its standard error"
    if log_hr == 0:
        return math.nan, "", "a ratio of 1 with a p-value does not tell its standard error"
    return float(se_from_pvalue(log_hr, p)), route, ""


def _is_lopsided(ratio: ReportedNumber, ci: ReportedInterval | None) -> bool:
    if ci is None or ci.lower is None or ci.upper is None or not (ci.lower.is_exact and ci.upper.is_exact):
        return False
    low, high = (0.5 * (_log(a) + _log(b)) for a, b in zip(ci.lower.interval, ci.upper.interval, strict=True))
    return low > _log(ratio.interval.upper) or high < _log(ratio.interval.lower)


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf
