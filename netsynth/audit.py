"""The audit of reported numbers: which cannot be, which do not fit together, and what would repair them."""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final, TypeAlias, get_args

from netsynth.audits import (
    at_risk,
    cohorts,
    percentages,
    proportions,
    published,
    ratios,
    survival_intervals,
    times,
    whole_curve,
)
from netsynth.audits.case import Case, Outcome, cases
from netsynth.data.characteristic import ReportedCharacteristic
from netsynth.data.endpoint import ENDPOINTS
from netsynth.data.factor import ReportedFactor
from netsynth.data.proportion import ReportedProportion
from netsynth.data.review import Review
from netsynth.data.study import Study
from netsynth.data.survival import ReportedSurvival, ReportedTime
from netsynth.errors import InvalidInputError, NetsynthWarning
from netsynth.results.audit import (
    CHECKS,
    PUBLISHED,
    SEVERITIES,
    STATUSES,
    Audit,
    AuditStatus,
    CheckCount,
    CheckName,
)

__all__ = ["AuditInput", "audit"]

AuditInput: TypeAlias = (
    Study | ReportedSurvival | ReportedTime | ReportedProportion | ReportedCharacteristic | ReportedFactor
)
#: Checks of one study.
_ALONE: Final = (
    percentages.shares_of_n,
    at_risk.numbers_at_risk,
    at_risk.events,
    whole_curve.together,
    survival_intervals.intervals,
    percentages.crude,
    times.medians,
    times.order,
    times.limits,
    times.followup,
    times.half_units,
    proportions.shares,
    proportions.group_sizes,
    ratios.intervals,
    ratios.pvalues,
    ratios.events,
    ratios.ways,
    ratios.directions,
)
#: Checks of several studies.
_TOGETHER: Final = (cohorts.linked, cohorts.shrinking, cohorts.copies)


def audit(reported: Review | AuditInput | Iterable[AuditInput]) -> Audit:
    r"""Hold reported numbers against what patients can give, and against each other.

    Parameters
    ----------
    reported : Review, or Study and records
        A whole review; or one record, or several of one or more studies, among them the `Study` records themselves.

    Returns
    -------
    Audit
        The findings, each with its severity, the least that would explain it, and the smallest correction that would
        repair it; how often each check was made, and how often and why it could not be; and for each survival
        percentage how many patients must have been lost.

    Raises
    ------
    InvalidInputError
        If something else is given, or as `Review` refuses records that cannot be held together.

    Notes
    -----
    Percentages are held against the lattice of Kaplan-Meier estimates: with m of n patients at risk afterwards, and
    losses when :math:`r_1 > \dots > r_c` were at risk, :math:`S = (m/n) \prod r_j / (r_j - 1)`; all that is
    printed of the curve of a few patients also against every order of events and losses. Intervals of survival
    are held against Greenwood's variance, :math:`S(1-S)/n \le \mathrm{Var} \le S^2 (1-S)/m`, those of hazard ratios
    against :math:`\mathrm{SE} \ge 2/\sqrt D`. Every number is the interval it was rounded from, both ends included. A
    finding is *impossible* if no patients give the numbers, *incoherent* if an assumption that is usually made must
    fail, *suspicious* if they are possible and rare. What is refused when a record is made, such as survival that
    rises, does not come so far.

    Examples
    --------
    >>> found = audit(ReportedSurvival.from_percent("Example", "OS", years=[1, 3], percent=[95, 31], n_total=13))
    >>> print(found.findings[0])
    impossible: Example, OS: 95% at 1 year of 13 patients: no order of events and losses gives it, the nearest
    possible are 92% and 100%
    >>> found.findings[0].corrections[0]
    'OS at 1 year 92% instead of 95%'
    >>> print(*(one.least_censored for one in found.percentages))
    None 0
    """
    review = reported if isinstance(reported, Review) else _review(reported)
    held = cases(review)
    said: list[tuple[str, Outcome]] = []
    for case in held:
        said += [(case.study.id, outcome) for check in _ALONE for outcome in check(case)]
    for compare in _TOGETHER:
        said += [("", outcome) for outcome in compare(held)]
    said += [(PUBLISHED, outcome) for target in review.targets for outcome in published.targets(target)]
    studies = [study.id for study in review.studies]
    labels = [study.label for study in review.studies]
    if review.targets:
        studies.append(PUBLISHED)
        labels.append("Published review")
    return _result(review.title or "Audit", studies, labels, said, held)


def _review(reported: AuditInput | Iterable[AuditInput]) -> Review:
    """A review of studies and records; its doubts are left to the audit."""
    given = [reported] if isinstance(reported, get_args(AuditInput)) else reported
    if not isinstance(given, Iterable) or isinstance(given, str | bytes):
        raise InvalidInputError(f"audit takes a review, a study or reported records; got {reported!r:.80}.")
    held: defaultdict[type, list[object]] = defaultdict(list)
    for item in given:
        if not isinstance(item, get_args(AuditInput)):
            raise InvalidInputError(f"audit takes a review, studies and reported records; got {item!r:.80}.")
        held[type(item)].append(item)
    records = [record for kind, some in held.items() if kind is not Study for record in some]
    studies = {study.id: study for study in held[Study] if isinstance(study, Study)}
    for record in records:
        name = str(getattr(record, "study", ""))
        studies.setdefault(name, Study(name))
    if not studies:
        raise InvalidInputError("audit needs at least one study or record; got none.")
    endpoints = dict.fromkeys(r.endpoint for r in records if hasattr(r, "endpoint"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        return Review(
            tuple(studies.values()),
            tuple(held[ReportedSurvival]),  # type: ignore[arg-type]
            tuple(held[ReportedTime]),  # type: ignore[arg-type]
            tuple(held[ReportedProportion]),  # type: ignore[arg-type]
            tuple(held[ReportedCharacteristic]),  # type: ignore[arg-type]
            tuple(held[ReportedFactor]),  # type: ignore[arg-type]
            endpoints=tuple(dict.fromkeys((*ENDPOINTS, *endpoints))),
        )


def _result(
    title: str, studies: list[str], labels: list[str], said: list[tuple[str, Outcome]], held: list[Case]
) -> Audit:
    made: Counter[CheckName] = Counter(o.check for _, o in said if not o.skipped)
    skipped: defaultdict[CheckName, Counter[str]] = defaultdict(Counter)
    worst: dict[tuple[str, CheckName], int] = {}
    for study, outcome in said:
        found = outcome.finding
        if outcome.skipped:
            skipped[outcome.check][outcome.skipped] += 1
        status: AuditStatus = "not checkable" if outcome.skipped else found.severity if found else "passed"
        for name in outcome.studies or (study,):
            rank = max(STATUSES.index(status), worst.get((name, outcome.check), 0))
            worst[name, outcome.check] = rank
    findings = [o.finding for _, o in said if o.finding is not None]
    place = {study: i for i, study in enumerate(studies)}
    severity = {name: i for i, name in enumerate(SEVERITIES)}
    order = {name: i for i, name in enumerate(CHECKS)}
    findings.sort(key=lambda one: (severity[one.severity], place[one.study], order[one.check]))
    per_check = Counter(finding.check for finding in findings)
    counts = tuple(
        CheckCount(check, made[check], per_check[check], tuple(skipped[check].most_common()))
        for check in CHECKS
        if made[check] or skipped[check]
    )
    status_rows = tuple(
        tuple(STATUSES[worst.get((study, count.check), 0)] for count in counts) for study in studies
    )
    rows = tuple(one for case in held for one in survival_intervals.audited_percentages(case))
    return Audit(title, tuple(studies), tuple(labels), tuple(findings), counts, rows, status_rows)
