"""P-values of several studies combined, with their directions, and bounds kept as bounds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from netsynth import _validate
from netsynth._typing import FloatArray, Interval
from netsynth.data.factor import DIRECTIONS, Direction, zero_problem
from netsynth.data.number import ReportedNumber
from netsynth.data.selection import Exclusion
from netsynth.errors import InvalidInputError
from netsynth.kernels.intervals import two_sided_pvalue
from netsynth.kernels.pvalue_combination import COMBINATIONS, CombinationMethod, CombinationRule
from netsynth.reported import parse_number
from netsynth.results.evidence import INFERRED, FactorEvidence, FactorRow
from netsynth.results.pvalues import CombinedPValue, PValueBasis

__all__ = ["combine_pvalues"]

PValueLike: TypeAlias = float | str | ReportedNumber
StoufferWeights: TypeAlias = Literal["equal", "patients", "events"]
UnknownDirection: TypeAlias = Literal["error", "bounds"]
_WEIGHTS: Final[Mapping[str, str]] = {
    "equal": "equal weights",
    "patients": "weights by the square root of patients",
    "events": "weights by the square root of events",
}
_WORDS: Final[Mapping[str, PValueBasis]] = {
    "ns": "not significant, no number",
    "n.s.": "not significant, no number",
    "not significant": "not significant, no number",
    "significant": "significant, no number",
}
_DEFAULTS: Final[Mapping[str, float]] = {"rank": 1, "threshold": 0.05, "df": 10.0}
_OWN_DEFAULTS: Final[Mapping[tuple[str, str], float]] = {
    ("rank_truncated", "rank"): 2,
    ("vote", "threshold"): 0.5,
    ("inverse_chi2", "df"): 2.0,
}


@dataclass(frozen=True)
class _Study:
    """One study: the ends of its two-sided p-value, and how it points."""

    label: str
    direction: Direction
    two_sided: Interval
    basis: PValueBasis
    printed: str
    n_patients: float = math.nan
    n_events: float = math.nan
    is_inferred: bool = False


def combine_pvalues(
    pvalue: FactorRow | Sequence[PValueLike],
    *,
    direction: Sequence[Direction] | None = None,
    method: CombinationMethod = "fisher",
    setting: float | None = None,
    study: Sequence[str] | None = None,
    n_patients: npt.ArrayLike | Sequence[float | None] | None = None,
    n_events: npt.ArrayLike | Sequence[float | None] | None = None,
    weights: StoufferWeights = "equal",
    two_sided: bool = True,
    alpha: float = 0.05,
    unknown_direction: UnknownDirection = "error",
    label: str = "",
) -> CombinedPValue:
    r"""Combine p-values of independent studies where effects cannot be pooled.

    Each p-value is made one-sided in a common direction, the combination is done for worse and for better, and
    the two-sided p-value is twice the smaller of the two.

    Parameters
    ----------
    pvalue : FactorRow or sequence of float, str or ReportedNumber
        A row of `summarize_factors`, which brings directions, labels and numbers of patients; or the p-values of the
        studies: numbers, texts as printed such as "0.03" or "<0.001", or "ns" for a result called not significant
        without a number. A bound stays a bound, "0.000" is one, below 0.0005, and "ns" is anything above `alpha`.
    direction : sequence of {"worse", "better", "none", "not stated"}
        How the adverse level fared in each study; taken from the row if one is given.
    method : str
        "fisher", "stouffer" (with `weights`), "logit", "edgington", "mean_p", "mean_z", "tippett" (the smallest),
        "maximum", "wilkinson" (of a rank), "vote" (below a threshold), "inverse_chi2" and "inverse_t" (of degrees of
        freedom), "truncated", "truncated_soft" (at a threshold), "rank_truncated" (the smallest ones).
    setting : float, optional
        Rank, threshold or degrees of freedom of methods that have one; by default rank 1 for "wilkinson" and 2 for
        "rank_truncated", threshold 0.5 for "vote" and 0.05 for truncation, 2 and 10 degrees of freedom for
        "inverse_chi2" and "inverse_t".
    study : sequence of str, optional
        Labels of the studies.
    n_patients, n_events : array_like, optional
        For weights and for the albatross plot; None or nan where not known. A row brings its own, but events of each
        counted study may be given beside it.
    weights : {"equal", "patients", "events"}
        Of Stouffer's method: equal, or the square root of patients or events, which every study must then have.
    two_sided : bool
        Whether the p-values given are two-sided. One-sided ones are taken to be against `direction`; printed as
        "1.00" one is a bound, at least 0.995.
    alpha : float
        Level above which a result called not significant lies.
    unknown_direction : {"error", "bounds"}
        What to do with a study that tells no direction: refuse, or let its one-sided p-value be anything between
        p / 2 and 1 - p / 2.
    label : str, optional
        What the studies ask, for text.

    Returns
    -------
    CombinedPValue
        Frozen. An interval where a p-value is one; both ends are equal where all are numbers.

    Raises
    ------
    InvalidInputError
        If a direction is missing and not allowed to be, a p-value is 0, or one-sided and 1, without decimals or cannot
        be read, a number that the weights need is missing, a setting does not suit its method, or "mean_z" meets an
        interval, because it may fall when a p-value rises.

    Notes
    -----
    For a two-sided p-value, :math:`p / 2` if the study found worse, else :math:`1 - p / 2`, is the p-value against
    worse. All methods but "mean_z" rise with every p-value, so the ends of the intervals give the ends of the
    combined one. Of a row, the number printed counts first, then one from the confidence interval, then a printed
    bound, then whether the source calls the result significant.

    References
    ----------
    .. [1] McKenzie JE, Brennan SE. Synthesizing and presenting findings using other methods. In: Cochrane
       Handbook for Systematic Reviews of Interventions, chapter 12. https://training.cochrane.org/handbook
    .. [2] Becker BJ (1994). Combining significance levels. In: Cooper H, Hedges LV (eds). The handbook of research
       synthesis. Russell Sage Foundation, New York, 215-230.

    Examples
    --------
    >>> print(combine_pvalues(["0.02", "<0.001", "ns", "0.30"], direction=["worse", "worse", "worse", "better"]))
    4 p-values combined by Fisher's method
      worse       one-sided p ≤ 0.001
      better      one-sided p between 0.74 and 0.87
      both        two-sided p ≤ 0.002, towards worse
      looks for   an effect in at least one study
      An interval, because of 1 p-value printed as a bound and 1 called significant or not, without a number.
      A combined p-value says whether there is an effect, nothing of its size.
    """
    _validate.choice(method, "method", COMBINATIONS)
    _validate.choice(weights, "weights", _WEIGHTS)
    _validate.choice(unknown_direction, "unknown_direction", ("error", "bounds"))
    if not 0.0 < alpha < 1.0:
        raise InvalidInputError(f"alpha must lie between 0 and 1; got {alpha!r}.")
    left_out: list[Exclusion] = []
    if isinstance(pvalue, FactorRow):
        if direction is not None or study is not None or n_patients is not None or not two_sided:
            raise InvalidInputError("A row brings directions, labels and patients; leave them out.")
        studies, left_out = _of_row(pvalue, alpha, n_events)
        label = label or f"{pvalue.factor}, {pvalue.endpoint}"
    else:
        studies = _of_values(pvalue, direction, study, n_patients, n_events, alpha, two_sided)
    if not studies:
        raise InvalidInputError(
            f"{label or 'combine_pvalues'}: no study has a p-value or is called significant or not."
        )
    rule = COMBINATIONS[method]
    keywords = _keywords(method, rule, setting, len(studies))
    weight = _stouffer_weights(studies, method, weights)
    if weight is not None:
        keywords["weights"] = weight
    one_sided = [_one_sided(each, two_sided, unknown_direction) for each in studies]
    p, q = np.array(one_sided).transpose(1, 2, 0)  # rows: the lower end, the upper end
    if not rule.is_monotone and (p[0] != p[1]).any():
        raise InvalidInputError(
            f"method {method!r} may fall when a p-value rises, so bounds tell nothing of it; choose another, such as "
            "'stouffer'."
        )
    worse, better = rule.combine(p, q, **keywords), rule.combine(q[::-1], p[::-1], **keywords)
    arrays = {
        "two_sided_lower": np.array([each.two_sided.lower for each in studies]),
        "two_sided_upper": np.array([each.two_sided.upper for each in studies]),
        "lower": np.array(p[0]),
        "upper": np.array(p[1]),
        "n_patients": np.array([each.n_patients for each in studies]),
        "n_events": np.array([each.n_events for each in studies]),
    }
    for array in (*arrays.values(), *(() if weight is None else (weight,))):
        array.setflags(write=False)
    shown = next(((name, float(value)) for name, value in keywords.items() if name != "weights"), None)
    return CombinedPValue(
        label=label,
        method=method,
        setting=shown,
        study=tuple(each.label for each in studies),
        direction=tuple(each.direction for each in studies),
        printed=tuple(each.printed for each in studies),
        basis=tuple(each.basis for each in studies),
        weights=weight,
        weight_name=_WEIGHTS[weights],
        log_worse=_ends(worse.log_pvalue),
        log_better=_ends(better.log_pvalue),
        statistic_worse=_ends(worse.statistic),
        statistic_better=_ends(better.statistic),
        df=float(worse.df[0]) if np.ptp(worse.df) == 0 or np.isnan(worse.df).any() else math.nan,
        left_out=tuple(left_out),
        n_inferred=sum(each.is_inferred for each in studies),
        **arrays,
    )


def _ends(values: FloatArray) -> Interval:
    return Interval(float(values[0]), float(values[1]))


def _keywords(method: str, rule: CombinationRule, setting: float | None, k: int) -> dict[str, Any]:
    name = rule.setting
    if name in ("", "weights"):
        if setting is not None:
            raise InvalidInputError(f"method {method!r} has no setting; got setting={setting!r}.")
        return {}
    value = _OWN_DEFAULTS.get((method, name), _DEFAULTS[name]) if setting is None else setting
    if name == "rank":
        rank = _validate.count(value, "setting", minimum=1)
        if rank > k:
            raise InvalidInputError(f"method {method!r}: rank {rank} is above the number of studies, {k}.")
        return {"rank": rank}
    if name == "threshold":
        most = 0.5 if method == "vote" else 1.0  # beyond one half a study could vote for both sides
        if not 0.0 < value <= most:
            raise InvalidInputError(
                f"method {method!r}: the threshold must lie in (0, {most:g}]; got {value!r}."
            )
        return {"threshold": float(value)}
    least = 2.0 if method == "inverse_t" else 0.0  # a t of two degrees of freedom has no variance
    if not (value > least and math.isfinite(value)):
        raise InvalidInputError(
            f"method {method!r}: degrees of freedom must be above {least:g}; got {value!r}."
        )
    return {"df": float(value)}


def _stouffer_weights(studies: Sequence[_Study], method: str, weights: StoufferWeights) -> FloatArray | None:
    if weights == "equal":
        return None
    if method != "stouffer":
        raise InvalidInputError(f"method {method!r} has no weights; only 'stouffer' does.")
    sizes = [each.n_patients if weights == "patients" else each.n_events for each in studies]
    for each, size in zip(studies, sizes, strict=True):
        if not size > 0:
            raise InvalidInputError(
                f"{each.label}: weights by {weights} need the number of {weights}, which is not known. Give it, or use "
                "equal weights."
            )
    return np.asarray(np.sqrt(np.array(sizes)))


def _one_sided(
    study: _Study, two_sided: bool, unknown_direction: UnknownDirection
) -> tuple[tuple[float, float], tuple[float, float]]:
    """P-values against worse and their complements, each at the lower and at the upper end."""
    low, high = study.two_sided
    if low == high == 1.0 and two_sided:
        return (0.5, 0.5), (0.5, 0.5)  # no effect at all, which has no direction
    if two_sided:
        low, high = 0.5 * low, 0.5 * high
    if study.direction == "worse":
        return (low, high), (1.0 - low, 1.0 - high)
    if study.direction == "better":
        return (1.0 - high, 1.0 - low), (high, low)
    if study.direction == "not stated" and unknown_direction == "error":
        raise InvalidInputError(
            f"{study.label}: the direction is not stated, without which its p-value cannot be combined with others. "
            "State it, leave the study out, or allow both with unknown_direction='bounds'."
        )
    low = min(low, 1.0 - high)
    return (low, 1.0 - low), (1.0 - low, low)


# --- reading -----------------------------------------------------------------------------------------------------


def _of_values(
    pvalue: Sequence[PValueLike],
    direction: Sequence[Direction] | None,
    study: Sequence[str] | None,
    n_patients: npt.ArrayLike | Sequence[float | None] | None,
    n_events: npt.ArrayLike | Sequence[float | None] | None,
    alpha: float,
    two_sided: bool,
) -> list[_Study]:
    values = [pvalue] if isinstance(pvalue, str) else list(pvalue)
    labels = _validate.labels(study, len(values))
    if direction is None:
        raise InvalidInputError(
            "direction is missing: give 'worse' or 'better' for each study. A two-sided p-value does not tell which "
            "way a study points."
        )
    if isinstance(direction, str):
        raise InvalidInputError(
            f"direction must be a list with one word for each of {len(values)} p-values, such as "
            f"[{direction!r}, ...]; got the text {direction!r}. If all point one way, give [{direction!r}] * "
            f"{len(values)}."
        )
    directions: list[Direction] = list(direction)
    if len(directions) != len(values):
        raise InvalidInputError(
            f"direction must have one word for each of {len(values)} p-values; got {len(directions)}."
        )
    for name, word in zip(labels, directions, strict=True):
        _validate.choice(word, "direction", DIRECTIONS, where=name)
    sizes = [_sizes(n, name, labels) for n, name in ((n_patients, "n_patients"), (n_events, "n_events"))]
    found = []
    for i, (value, name) in enumerate(zip(values, labels, strict=True)):
        ends, basis, printed = _read(value, name, alpha, two_sided)
        found.append(_Study(name, directions[i], ends, basis, printed, sizes[0][i], sizes[1][i]))
    return found


def _sizes(
    given: npt.ArrayLike | Sequence[float | None] | None, name: str, labels: Sequence[str]
) -> list[float]:
    if given is None:
        return [math.nan] * len(labels)
    listed: Any = [math.nan if n is None else n for n in given] if isinstance(given, Iterable) else given
    sizes = _validate.array_1d(listed, name)
    if sizes.size != len(labels):
        raise InvalidInputError(
            f"{name} must have one number for each of {len(labels)} studies; got {sizes.size}."
        )
    for label, size in zip(labels, sizes, strict=True):
        if size <= 0 or math.isinf(size):
            raise InvalidInputError(f"{label}: {name} must be positive; got {size:g}.")
    return [float(size) for size in sizes]


def _read(value: PValueLike, where: str, alpha: float, two_sided: bool) -> tuple[Interval, PValueBasis, str]:
    """The ends of a p-value, what it rests on, and how it is printed."""
    if isinstance(value, str):
        words = " ".join(value.split()).casefold()
        if words in _WORDS:
            basis = _WORDS[words]
            return _called(basis, alpha), basis, value.strip()
        value = parse_number(words.removeprefix("p").strip().removeprefix("=").strip(), unit="pvalue")
    if isinstance(value, ReportedNumber):
        return *_ends_of(value, where, two_sided=two_sided), value.bare
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise InvalidInputError(f"{where}: a p-value must be a number or text; got {value!r}.")
    if not 0.0 <= value <= 1.0:
        raise InvalidInputError(f"{where}: a p-value must lie in (0, 1]; got {value!r}.")
    if value in (0.0, 1.0):
        number = ReportedNumber.of(value, "pvalue")
        return *_ends_of(number, where, two_sided=two_sided), number.bare
    return Interval(float(value), float(value)), "printed", f"{value:g}"


def _called(basis: PValueBasis, alpha: float) -> Interval:
    return Interval(alpha, 1.0) if basis == "not significant, no number" else Interval(0.0, alpha)


def _ends_of(number: ReportedNumber, where: str, *, two_sided: bool = True) -> tuple[Interval, PValueBasis]:
    if problem := zero_problem(number):
        raise InvalidInputError(f"{where}: {problem}.")
    if not two_sided and number.value == 1.0 and number.qualifier not in ("<", "<="):
        # at 1 itself a study would be infinitely sure of the other direction
        if number.decimals < 1 or not number.is_exact:
            raise InvalidInputError(
                f"{where}: a one-sided p-value is never 1; give it as it is printed, such as '1.00' or '>0.99'."
            )
        return number.interval, "printed bound"
    if number.is_exact and number.value > 0.0:
        return Interval(number.value, number.value), "printed"
    return number.interval, "printed bound"


def _of_row(
    row: FactorRow, alpha: float, n_events: npt.ArrayLike | Sequence[float | None] | None
) -> tuple[list[_Study], list[Exclusion]]:
    printed = [result.n_events for result in row.counted]
    given = printed if n_events is None else n_events
    events = _sizes(given, "n_events", [result.label for result in row.counted])
    found, left_out = [], []
    for result, d in zip(row.counted, events, strict=True):
        known = _known(result, alpha)
        if known is None:
            why = "no p-value, no interval, and not called significant or not"
            left_out.append(Exclusion(result.label, "no p-value", why, result.row_id, result.printed_levels))
            continue
        size = math.nan if result.n_patients is None else float(result.n_patients)
        inferred = result.direction_basis == INFERRED
        found.append(_Study(result.label, result.direction, *known, size, d, inferred))
    return found, left_out


def _known(result: FactorEvidence, alpha: float) -> tuple[Interval, PValueBasis, str] | None:
    printed = result.pvalue
    if printed is not None and printed.is_exact and printed.value > 0.0:
        return *_ends_of(printed, result.label), printed.bare
    if result.se_route == "confidence interval" and result.se > 0:
        p = float(two_sided_pvalue(np.asarray(result.log_hr / result.se), np.inf))
        return Interval(p, p), "confidence interval", f"HR {result.ratio}"
    if printed is not None:
        return *_ends_of(printed, result.label), printed.bare
    basis: PValueBasis
    if result.significance == "yes":
        basis = "significant, no number"
    elif result.significance == "no":
        basis = "not significant, no number"
    else:
        return None
    return _called(basis, alpha), basis, "significant" if result.significance == "yes" else "not significant"
