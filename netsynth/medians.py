"""Medians and means that studies print as five numbers: converted to mean and SD, and put together over studies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np

from netsynth import _format, _validate
from netsynth._five_numbers import (
    Table,
    check_families,
    check_same,
    kept,
    overlap_cautions,
    read_table,
    skewed_cautions,
    study_group,
    unusable_cautions,
    why_not,
)
from netsynth._parallel import map_chunks
from netsynth._typing import BoolArray, FloatArray
from netsynth.errors import FewStudiesWarning, InvalidInputError, caution
from netsynth.kernels import orderstats
from netsynth.kernels.five_number_methods import MEAN_METHODS, MeanMethod, bootstrap_error, convert
from netsynth.kernels.intervals import CiMethod, PredictionMethod
from netsynth.kernels.laws import Law, law_moments
from netsynth.kernels.median_pooling import density_variance, interval_confidence, quartile_variance
from netsynth.kernels.quantile_fits import DEFAULT_FAMILIES, QuantileFamily
from netsynth.kernels.scales import EffectMeasure
from netsynth.kernels.tau2 import Tau2Estimator, Tau2Method
from netsynth.pool import pool_effects
from netsynth.results.medians import AggregatedMedians, ConvertedMeans, MedianMethod, Quantity

__all__ = ["aggregate_medians", "convert_five_numbers"]

_OF_MEDIANS: Final[tuple[MedianMethod, ...]] = ("MM", "WM", "QE", "CD", "BC", "MLN")
#: What each quantity is on the scale of pooling, and the methods that know it.
_MEASURE: Final[Mapping[Quantity, EffectMeasure]] = MappingProxyType(
    {
        "median": "median",
        "difference of medians": "median_difference",
        "ratio of medians": "log_median_ratio",
        "mean": "mean",
        "mean difference": "mean_difference",
    }
)


def convert_five_numbers(
    data: object,
    *,
    method: MeanMethod = "QE",
    families: Sequence[QuantileFamily] = DEFAULT_FAMILIES,
    n_draws: int = 1000,
    rng: np.random.Generator | int | None = 0,
) -> ConvertedMeans:
    r"""Mean and standard deviation from medians, quartiles and extremes, with errors that know them for estimates.

    Parameters
    ----------
    data : mapping or data frame
        Columns of length k among "study", "n" (or "n_total"), "median", "min", "max", "q1", "q3", "mean" and "sd", nan
        or None where a study does not print a value. A printed mean and SD are handed on as they are.
    method : {"QE", "BC", "MLN", "Luo", "Wan", "Hozo", "Bland"}
        QE takes the law whose quantiles come nearest to the printed ones [1]_; BC and MLN make the values symmetric by
        a power [1]_ [2]_ and need them positive; the others take the values for normal: Luo's means with Wan's and
        Shi's SDs, Wan's simple ones, Hozo's from extremes alone and Bland's from all five values alone.
    families : sequence of str
        Candidates of "QE": "normal", "log-normal", "gamma", "Weibull"; "beta" for shares between 0 and 1.
    n_draws : int
        Draws of the bootstrap a study.
    rng : numpy.random.Generator or int, optional
        Generator or seed of the bootstrap; None draws anew each time.

    Returns
    -------
    ConvertedMeans
        Its `mean` and `mean_se` can be given to `pool_effects`.

    Raises
    ------
    InvalidInputError
        If columns are missing or of different length, a value is not a number, the values of a study do not rise from
        the minimum to the maximum or cannot be those of n patients, n is not a whole number above 0, or a name is
        unknown.

    Warns
    -----
    SkewedDataWarning
        The summary of a study is skewed, and the method takes it for normal.
    UnusableDataWarning
        A study has no answer; the message and `reason` say why.

    Notes
    -----
    A mean that is read from quantiles is less certain than one that was printed, so that SD / sqrt(n) is too small a
    standard error. `mean_se` is from the parametric bootstrap [3]_: samples of n patients from the fitted law,
    summarised as the study was and converted again. `naive_se` is there for comparison.

    References
    ----------
    .. [1] McGrath S, Zhao X, Steele R, Thombs BD, Benedetti A (2020). Estimating the sample mean and standard deviation
       from commonly reported quantiles in meta-analysis. Stat Methods Med Res 29:2520-2537.
       https://doi.org/10.1177/0962280219889080
    .. [2] Cai S, Zhou J, Pan J (2021). Estimating the sample mean and standard deviation from order statistics and
       sample size in meta-analysis. Stat Methods Med Res 30:2701-2719. https://doi.org/10.1177/09622802211047348
    .. [3] McGrath S, Katzenschlager S, Zimmer AJ, Seitel A, Steele R, Benedetti A (2023). Standard error estimation in
       meta-analysis of studies reporting medians. Stat Methods Med Res 32:373-388.
       https://doi.org/10.1177/09622802221139233

    Examples
    --------
    >>> ages = {"study": ["A", "B"], "n": [60, 140], "q1": [45, None], "median": [58, None], "q3": [67, None],
    ...         "mean": [None, 56.2], "sd": [None, 12.1]}
    >>> found = convert_five_numbers(ages, method="Luo", n_draws=200)
    >>> print(found)
    Mean and SD from five numbers by Luo (Luo's mean with Wan's and Shi's SD)
    study  prints       mean    se    SD  law
    A      S2           56.6  2.09  16.7  normal
    B      mean and SD  56.2  1.02  12.1  printed
    """
    _validate.choice(method, "method", MEAN_METHODS)
    check_families(families)
    draws = _validate.count(n_draws, "n_draws", minimum=2)
    table = read_table(data, "data")
    means = _means(table, method, families)
    generators = _generators(rng, len(table.study))
    errors = _bootstrap(table, means, method, families, draws, generators)
    group = study_group(table, means.law)
    said = [
        *skewed_cautions(method, table.study, [group], means.reason),
        *unusable_cautions(table.study, means.reason, method),
    ]
    printed = means.printed
    naive = means.sd / np.sqrt(table.n)
    mean_se = np.where(printed, naive, errors[:, 0])
    # of a printed SD that of normal values, sd / sqrt(2 (n - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        sd_se = np.where(printed, means.sd / np.sqrt(2.0 * (table.n - 1.0)), errors[:, 1])
    return ConvertedMeans(
        method=method,
        study=table.study,
        mean=kept(means.mean),
        sd=kept(means.sd),
        mean_se=kept(mean_se),
        sd_se=kept(sd_se),
        naive_se=kept(naive),
        printed=printed,
        reason=means.reason,
        group=group,
        warnings=tuple(said),
    )


def aggregate_medians(
    data: object,
    comparator: object = None,
    *,
    method: MedianMethod = "QE",
    quantity: Quantity | None = None,
    means_as_medians: bool = False,
    ci_level: float = 0.95,
    se_method: str = "bootstrap",
    families: Sequence[QuantileFamily] = DEFAULT_FAMILIES,
    n_draws: int = 1000,
    rng: np.random.Generator | int | None = 0,
    tau2_method: Tau2Method | Tau2Estimator | None = None,
    ci_method: CiMethod = "mHK",
    prediction_method: PredictionMethod = "t_km2",
) -> AggregatedMedians:
    r"""Put together over studies what they print as medians: medians themselves, or the means behind them.

    Parameters
    ----------
    data, comparator : mapping or data frame
        Columns of length k among "study", "n" (or "n_total"), "median", "min", "max", "q1", "q3", "mean", "sd", and
        "ci_lower" and "ci_upper", the confidence interval of the median; nan or None where a study does not print a
        value. "MM" needs no "n". `comparator` has the second group of the same studies in the same order.
    method : str
        For medians "MM" and "WM", the median of study medians, unweighted or weighted by patients, which need nothing
        else [1]_; "QE", "BC" and "MLN", which give each median the variance 1 / (4 n f^2) with f the density, at
        its median, of the law read from the summary [2]_; "CD", confidence distributions from quartiles or confidence
        intervals [3]_. For means "QE", "BC", "MLN", "Luo", "Wan", "Hozo" and "Bland", as in `convert_five_numbers`.
    quantity : str, optional
        "median" or "mean" of one group, "difference of medians", "ratio of medians" or "mean difference" of two. By
        default the first that the method knows.
    means_as_medians : bool
        Whether a study that prints a mean and no median enters with it. Skewed data have other means than medians.
    ci_level : float
        Level of "ci_lower" and "ci_upper", which "CD" uses.
    se_method : {"bootstrap", "naive"}
        Standard errors of means: by the parametric bootstrap, or SD / sqrt(n).
    families, n_draws, rng
        As in `convert_five_numbers`.
    tau2_method : str or callable, optional
        As in `pool_effects`, "REML" by default and "DL" for "CD", as published.
    ci_method, prediction_method
        As in `pool_effects`.

    Returns
    -------
    AggregatedMedians
        With what each study prints, which could not be used and why, and the tests of skewness.

    Raises
    ------
    InvalidInputError
        As `convert_five_numbers`; and if no study can be used, the groups have different studies, or the method does
        not know the quantity.

    Warns
    -----
    UnusableDataWarning
        Studies are left out; the message and `reason` say which and why.
    SkewedDataWarning
        Summaries are skewed, and the method takes them for normal.
    OverlapWarning
        Two rows carry the same label.
    FewStudiesWarning
        As `pool_effects`; with one or two studies for "MM" and "WM".

    Notes
    -----
    A difference of medians has the sum of both variances; a ratio is pooled as :math:`\ln m_1 - \ln m_2` with variance
    :math:`v_1 / m_1^2 + v_2 / m_2^2`. "MM" of a ratio is that of the logarithms.

    References
    ----------
    .. [1] McGrath S, Zhao X, Qin ZZ, Steele R, Benedetti A (2019). One-sample aggregate data meta-analysis of medians.
       Stat Med 38:969-984. https://doi.org/10.1002/sim.8013
    .. [2] McGrath S, Sohn H, Steele R, Benedetti A (2020). Meta-analysis of the difference of medians. Biom J 62:69-98.
       https://doi.org/10.1002/bimj.201900036
    .. [3] Ozturk O, Balakrishnan N (2020). Meta-analysis of quantile intervals from different studies with an
       application to a pulmonary tuberculosis data. Stat Med 39:4519-4537. https://doi.org/10.1002/sim.8738

    Examples
    --------
    >>> delay = {
    ...     "study": ["A", "B", "C", "D"], "n": [40, 60, 90, 75],
    ...     "q1": [6, 8, 7, 5], "median": [10, 13, 11, 8], "q3": [18, 20, 17, 14],
    ... }
    >>> result = aggregate_medians(delay)
    >>> print(result)
    Median, quantile estimation (QE), k = 4
      estimate  10.4   95% CI [6.95, 13.8]   95% PI [1.47, 19.3]
      tau2 3.13 by REML   I2 70%   errors of studies: asymptotic
      skewed (5% test): 1 of 4 studies tested
    """
    _validate.choice(
        method, "method", (*_OF_MEDIANS, *(name for name in MEAN_METHODS if name not in _OF_MEDIANS))
    )
    check_families(families)
    _validate.choice(se_method, "se_method", ("bootstrap", "naive"))
    draws, level = _validate.count(n_draws, "n_draws", minimum=2), _validate.level(ci_level)
    given = {"data": data} if comparator is None else {"data": data, "comparator": comparator}
    tables = [read_table(group, name, needs_n=method != "MM") for name, group in given.items()]
    if len(tables) == 2:
        check_same(tables[0], tables[1])
    asked = _quantity(quantity, method, len(tables))

    if asked in ("mean", "mean difference"):
        parts = _mean_parts(tables, method, families, draws, rng, se_method)
    else:
        parts = [_median_part(table, method, families, means_as_medians, level) for table in tables]
        se_method = "none" if method in ("MM", "WM") else "asymptotic"
    y, v, reason = _combined(parts, asked)
    groups = tuple(study_group(table, part.law) for table, part in zip(tables, parts, strict=True))
    study = tables[0].study
    used = np.array([not why for why in reason])
    if not used.any():
        raise InvalidInputError(
            f"No study can be used for the {asked} by {method}: {study[0]} {reason[0]}. Choose another method."
        )
    said = [
        *overlap_cautions(study),
        *skewed_cautions(method, study, groups, reason),
        *unusable_cautions(study, reason, method),
    ]
    effect = None
    if method in ("MM", "WM"):
        weight = np.sum([table.n for table in tables], axis=0) if method == "WM" else np.ones(y.size)
        estimate = float(orderstats.weighted_quantile(y[used], weight[used], 0.5))
        estimate = math.exp(estimate) if asked == "ratio of medians" else estimate
        if used.sum() == 1:
            message = f"{np.array(study)[used][0]} is the only study, so its own value stands."
            said.append(caution(FewStudiesWarning, message, stacklevel=3))
        elif used.sum() == 2:
            message = "the median of 2 studies says no more than their two values."
            said.append(caution(FewStudiesWarning, message, stacklevel=3))
    else:
        effect = pool_effects(
            y[used],
            se=np.sqrt(v[used]),
            measure=_MEASURE[asked],
            tau2_method=tau2_method or ("DL" if method == "CD" else "REML"),
            ci_method=ci_method,
            prediction_method=prediction_method,
            study=[name for name, is_used in zip(study, used, strict=True) if is_used],
        )
        estimate, weight = effect.natural, np.full(y.size, np.nan)
        weight[used] = effect.weight
        said += effect.warnings
    has_error = used & (effect is not None)
    return AggregatedMedians(
        quantity=asked,
        method=method,
        estimate=estimate,
        effect=effect,
        study=study,
        used=used,
        reason=reason,
        study_estimate=kept(np.where(used, y, np.nan)),
        study_se=kept(np.sqrt(np.where(has_error, v, np.nan))),
        study_weight=kept(np.where(used, weight, np.nan)),
        groups=groups,
        se_method=se_method,
        warnings=tuple(said),
    )


class _Part(NamedTuple):
    """One group's estimates, their variances, why a study has none, and the laws that were read."""

    estimate: FloatArray
    variance: FloatArray
    reason: tuple[str, ...]
    law: Law


class _Means(NamedTuple):
    mean: FloatArray
    sd: FloatArray
    printed: BoolArray
    reason: tuple[str, ...]
    law: Law


def _quantity(quantity: Quantity | None, method: MedianMethod, n_groups: int) -> Quantity:
    of_medians: tuple[Quantity, ...] = (
        ("median",) if n_groups == 1 else ("difference of medians", "ratio of medians")
    )
    of_means: tuple[Quantity, ...] = ("mean",) if n_groups == 1 else ("mean difference",)
    if method == "CD":
        of_medians = of_medians if n_groups == 1 else ()
    known = (of_medians if method in _OF_MEDIANS else ()) + (of_means if method in MEAN_METHODS else ())
    if not known:
        raise InvalidInputError(f"{method} is a method for one group; got two. Use 'QE'.")
    if quantity is None:
        return known[0]
    _validate.choice(quantity, "quantity", _MEASURE)
    if quantity not in known:
        groups = "one group" if n_groups == 1 else "two groups"
        raise InvalidInputError(
            f"{method} with {groups} gives the {_format.listing(known)}; got {quantity!r}. Choose another method, or "
            "give or leave out the comparator."
        )
    return quantity


def _generators(rng: np.random.Generator | int | None, count: int) -> list[np.random.Generator]:
    try:
        return list(np.random.default_rng(rng).spawn(count))
    except (TypeError, ValueError):
        raise InvalidInputError(
            f"rng must be a seed, a numpy Generator that can spawn others, or None; got {rng!r:.80}."
        ) from None


def _means(table: Table, method: MeanMethod, families: Sequence[QuantileFamily]) -> _Means:
    """Mean and SD of each study, printed ones before others."""
    laws = convert(method, table.values, table.n, families)
    found = law_moments(laws)
    printed = ~np.isnan(table.mean) & ~np.isnan(table.sd) & ~np.isnan(table.n)
    mean, sd = (np.where(printed, own, read) for own, read in zip((table.mean, table.sd), found, strict=True))
    good = np.isfinite(mean) & np.isfinite(sd) & (sd > 0)
    reason = tuple("" if is_good else why_not(table, i, method) for i, is_good in enumerate(good))
    return _Means(np.where(good, mean, np.nan), np.where(good, sd, np.nan), printed, reason, laws)


def _bootstrap(
    table: Table,
    means: _Means,
    method: MeanMethod,
    families: Sequence[QuantileFamily],
    n_draws: int,
    generators: Sequence[np.random.Generator],
) -> FloatArray:
    """Standard errors of mean and SD of the studies that need them, shape (k, 2)."""
    needed = [i for i, why in enumerate(means.reason) if not why and not means.printed[i]]
    chunks = [
        _Chunk(method, table.values[i], int(table.n[i]), generators[i], n_draws, tuple(families))
        for i in needed
    ]
    errors = np.full((len(table.study), 2), np.nan)
    for i, found in zip(needed, map_chunks(_error_of, chunks, description="bootstrap"), strict=True):
        errors[i] = found
    return errors


class _Chunk(NamedTuple):
    method: MeanMethod
    values: FloatArray
    n: int
    rng: np.random.Generator
    n_draws: int
    families: tuple[QuantileFamily, ...]


def _error_of(chunk: _Chunk) -> tuple[float, float]:
    found = bootstrap_error(chunk.method, chunk.values, chunk.n, chunk.rng, chunk.n_draws, chunk.families)
    return float(found.mean_se), float(found.sd_se)


def _mean_parts(
    tables: Sequence[Table],
    method: MedianMethod,
    families: Sequence[QuantileFamily],
    n_draws: int,
    rng: np.random.Generator | int | None,
    se_method: str,
) -> list[_Part]:
    generators = _generators(rng, sum(len(table.study) for table in tables))
    parts = []
    for number, table in enumerate(tables):
        k = len(table.study)
        means = _means(table, method, families)  # type: ignore[arg-type]  # a method of means, as was checked
        variance = means.sd**2 / table.n
        reason = means.reason
        if se_method == "bootstrap":
            own = generators[number * k : (number + 1) * k]
            errors = _bootstrap(table, means, method, families, n_draws, own)  # type: ignore[arg-type]
            variance = np.where(means.printed, variance, errors[:, 0] ** 2)
            failed = "has no standard error by the bootstrap: too many draws without an answer"
            reason = tuple(
                why or ("" if ok else failed) for why, ok in zip(reason, np.isfinite(variance), strict=True)
            )
        parts.append(_Part(means.mean, variance, reason, means.law))
    return parts


def _median_part(
    table: Table,
    method: MedianMethod,
    families: Sequence[QuantileFamily],
    means_as_medians: bool,
    ci_level: float,
) -> _Part:
    """Medians of one group and their variances."""
    median, n = table.values[:, 2].copy(), table.n
    k = median.size
    laws = Law(np.zeros(k, dtype=np.int64), *(np.full(k, np.nan) for _ in range(3)))
    variance = np.full(k, np.nan)
    if method in ("QE", "BC", "MLN"):
        laws = convert(method, table.values, n, families)
        variance = density_variance(laws, n)
    elif method == "CD":
        by_interval = ~np.isnan(table.ci_lower) & ~np.isnan(table.ci_upper)
        tail = np.full(k, (1.0 - ci_level) / 2)
        centre, spread = interval_confidence(table.ci_lower, table.ci_upper, tail, tail)
        median = np.where(by_interval, centre, median)
        variance = np.where(by_interval, spread, quartile_variance(table.values[:, 1], table.values[:, 3], n))
    by_mean = np.isnan(median) & ~np.isnan(table.mean) if means_as_medians else np.zeros(k, dtype=np.bool_)
    estimate = np.where(by_mean, table.mean, median)
    variance = np.where(by_mean, table.sd**2 / n, variance)
    reason = []
    for i in range(k):
        if math.isnan(estimate[i]):
            has_mean = not math.isnan(table.mean[i])
            reason.append(
                "prints a mean and no median; means_as_medians=True takes it for one"
                if has_mean
                else "prints no median"
            )
        elif method == "MM" or (method == "WM" and not math.isnan(n[i])):
            reason.append("")
        elif math.isnan(n[i]):
            reason.append("prints no number of patients")
        elif method != "WM" and not (math.isfinite(variance[i]) and variance[i] > 0):
            if by_mean[i]:
                reason.append("prints a mean without its SD")
            elif method == "CD":
                reason.append("prints neither different quartiles nor a confidence interval of its median")
            else:
                reason.append(why_not(table, i, method))
        else:
            reason.append("")
    return _Part(estimate, variance, tuple(reason), laws)


def _combined(parts: Sequence[_Part], quantity: Quantity) -> tuple[FloatArray, FloatArray, tuple[str, ...]]:
    """Estimates on the scale of pooling, their variances, and why a study has none."""
    if len(parts) == 1:
        return parts[0].estimate, parts[0].variance, parts[0].reason
    one, two = parts
    reason = tuple(
        f"{first} (first group)" if first else f"{second} (comparator)" if second else ""
        for first, second in zip(one.reason, two.reason, strict=True)
    )
    if quantity != "ratio of medians":
        return one.estimate - two.estimate, one.variance + two.variance, reason
    positive = (one.estimate > 0) & (two.estimate > 0)
    reason = tuple(
        why or ("" if ok else "has a median that is not positive, and so no ratio")
        for why, ok in zip(reason, positive, strict=True)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        y = np.log(one.estimate) - np.log(two.estimate)
        v = one.variance / one.estimate**2 + two.variance / two.estimate**2
    return y, v, reason
