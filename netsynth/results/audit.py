"""What an audit of reported numbers found: contradictions with their least explanation and smallest correction."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from netsynth import _format

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = [
    "CHECKS",
    "PUBLISHED",
    "SEVERITIES",
    "Audit",
    "AuditFinding",
    "AuditStatus",
    "AuditedPercentage",
    "CheckCount",
    "CheckName",
    "Severity",
]

Severity = Literal["impossible", "incoherent", "suspicious"]
#: From the gravest, each with its meaning.
SEVERITIES: Final[Mapping[Severity, str]] = MappingProxyType(
    {
        "impossible": "no patients can give these numbers as they are defined",
        "incoherent": "they need an assumption to fail that is usually made, such as the method of an interval",
        "suspicious": "possible, but rare under a model that is named",
    }
)

CheckName = Literal[
    "percentage of n",
    "numbers at risk",
    "events",
    "curve as a whole",
    "interval of survival",
    "median and percentages",
    "order of endpoints",
    "order of limits",
    "follow-up",
    "crude percentages",
    "half units",
    "share of n",
    "size of group",
    "hazard ratio and interval",
    "hazard ratio and p-value",
    "hazard ratio and events",
    "direction and significance",
    "one cohort twice",
]
#: Every check with the question it asks.
CHECKS: Final[Mapping[CheckName, str]] = MappingProxyType(
    {
        "percentage of n": "can a Kaplan-Meier estimate of n patients be this percentage",
        "numbers at risk": "can so many be at risk with this survival",
        "events": "do deaths, survival and numbers at risk add up to n",
        "curve as a whole": "can any patients give its percentages, numbers at risk and events together",
        "interval of survival": "is the interval symmetric on a known scale, and its width one that n allows",
        "median and percentages": "is survival above one half before the median and at most one half from it on",
        "order of endpoints": "is survival without progression at most overall survival, and the like",
        "order of limits": "does the median lie within quartiles, and these within the range",
        "follow-up": "does follow-up reach the landmark, and agree with the losses the percentage needs",
        "crude percentages": "are all percentages shares of n although patients were lost",
        "half units": "can a median of whole numbers end in one half with this n",
        "share of n": "is the share that of a whole number of patients",
        "size of group": "is the group no larger than its study",
        "hazard ratio and interval": "is the ratio in the middle of its interval on the log scale",
        "hazard ratio and p-value": "do ratio, interval and p-value tell one story",
        "hazard ratio and events": "are there enough events or patients for so narrow an interval",
        "direction and significance": "do ratio, curves, direction and significance agree",
        "one cohort twice": "do reports of the same patients agree, and do others not repeat their numbers",
    }
)
AuditStatus: TypeAlias = Literal["", "not checkable", "passed"] | Severity
#: From the least to the gravest.
STATUSES: Final[tuple[AuditStatus, ...]] = (
    "",
    "not checkable",
    "passed",
    "suspicious",
    "incoherent",
    "impossible",
)
#: The id under which an audit lists what another review concluded.
PUBLISHED: Final = "(published review)"
_WIDTH: Final = 100  # columns of text


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """Printed numbers that do not fit together.

    Attributes
    ----------
    study : str
        Id of the study.
    check : str
        One of `CHECKS`.
    severity : {"impossible", "incoherent", "suspicious"}
        See `SEVERITIES`.
    message : str
        What was printed, and what is possible.
    explanation : str
        The least that would have to be true if nothing is misprinted; empty when nothing would do.
    corrections : tuple of str
        Smallest changes to the print that remove the contradiction, the closest first: one digit, two neighbouring
        digits exchanged, or a decimal mark lost or added, in as few numbers as possible. At most three are kept.
    n_corrections : int
        How many such changes were found; 0 when none of that kind removes it.
    endpoint, group : str
        What the numbers are about; empty where the check knows none.
    other_study : str
        Id of the study it is compared with, if any.
    rows : tuple of str
        Rows of the files that hold the numbers.
    """

    study: str
    check: CheckName
    severity: Severity
    message: str
    explanation: str = ""
    corrections: tuple[str, ...] = ()
    n_corrections: int = 0
    endpoint: str = ""
    group: str = ""
    other_study: str = ""
    rows: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """Study, endpoint and group in one line."""
        parts = [self.study, self.endpoint, "" if self.group == "overall" else self.group]
        return ", ".join(filter(None, parts))

    @property
    def correction(self) -> str:
        """The smallest corrections in one line."""
        if not self.corrections:
            return "none that changes one or two digits"
        more = self.n_corrections - len(self.corrections)
        return "; ".join(self.corrections) + (f"; or {more} further" if more else "")

    def __str__(self) -> str:
        rows = f" [{', '.join(self.rows)}]" if self.rows else ""
        return f"{self.severity}: {self.where}: {self.message}{rows}"


@dataclass(frozen=True, slots=True)
class AuditedPercentage:
    """What one printed survival percentage says of the patients behind it.

    Attributes
    ----------
    study, endpoint, group, time, share : str
        Where it stands and what is printed.
    n_total, n_at_risk : int or None
        Patients in the group, and those at risk at the time; None where not printed.
    least_censored : int or None
        Fewest patients that must have been lost before the time; None where n is not printed, no number will do, or
        it was not decided.
    scales : tuple of str
        Scales on which the printed interval can have been computed; empty without one, or when there is none.
    se_lower, se_upper : float
        Limits of the standard error by the printed interval on these scales; nan without one.
    bound_lower, bound_upper : float
        Sharp limits of Greenwood's standard error by n and numbers at risk; nan where n is not printed or no curve is
        possible.
    row_id : str
        Row of the file.
    """

    study: str
    endpoint: str
    group: str
    time: str
    share: str
    n_total: int | None
    n_at_risk: int | None
    least_censored: int | None
    scales: tuple[str, ...]
    se_lower: float
    se_upper: float
    bound_lower: float
    bound_upper: float
    row_id: str = ""


@dataclass(frozen=True, slots=True)
class CheckCount:
    """How often one check was made, how often it found something, and how often and why it could not be made."""

    check: CheckName
    n_checked: int
    n_found: int
    not_checkable: tuple[tuple[str, int], ...] = ()

    @property
    def n_not_checkable(self) -> int:
        """Numbers that did not allow the check."""
        return sum(n for _, n in self.not_checkable)

    @property
    def reasons(self) -> str:
        """Why not, with counts."""
        return ", ".join(f"{reason} ({n})" for reason, n in self.not_checkable)


@dataclass(frozen=True, slots=True)
class Audit:
    """Reported numbers held against each other, as made by `netsynth.audit`.

    Attributes
    ----------
    title : str
        What was audited.
    studies, labels : tuple of str
        Ids and names of the studies, in the order of the review; last, if it has any, `PUBLISHED` for its targets.
    findings : tuple of AuditFinding
        The gravest first, then in the order of the studies.
    counts : tuple of CheckCount
        One for each check for which there was something to check.
    percentages : tuple of AuditedPercentage
        One for each printed survival percentage.
    status : tuple of tuple of str
        For each study and each entry of `counts` the gravest finding, "passed", "not checkable", or nothing.
    """

    title: str
    studies: tuple[str, ...]
    labels: tuple[str, ...]
    findings: tuple[AuditFinding, ...]
    counts: tuple[CheckCount, ...]
    percentages: tuple[AuditedPercentage, ...]
    status: tuple[tuple[AuditStatus, ...], ...]

    @property
    def checks(self) -> tuple[CheckName, ...]:
        """Names of the checks for which there was something to check."""
        return tuple(count.check for count in self.counts)

    @property
    def n_findings(self) -> dict[Severity, int]:
        """Number of findings of each severity."""
        found = Counter(finding.severity for finding in self.findings)
        return {severity: found[severity] for severity in SEVERITIES}

    def select(
        self,
        *,
        severity: Severity | None = None,
        check: CheckName | None = None,
        study: str | None = None,
    ) -> tuple[AuditFinding, ...]:
        """Findings of a severity, a check, a study; one that compares two studies belongs to both."""
        return tuple(
            finding
            for finding in self.findings
            if severity in (None, finding.severity)
            and check in (None, finding.check)
            and study in (None, finding.study, finding.other_study)
        )

    def summary_frame(self) -> pd.DataFrame:
        """One row a finding."""
        import pandas as pd

        rows = [
            {
                "study": one.study,
                "endpoint": one.endpoint,
                "group": one.group,
                "check": one.check,
                "severity": one.severity,
                "message": one.message,
                "explanation": one.explanation,
                "correction": "; ".join(one.corrections),
                "n_corrections": one.n_corrections,
                "other_study": one.other_study,
                "rows": ", ".join(one.rows),
            }
            for one in self.findings
        ]
        columns = ["study", "endpoint", "group", "check", "severity", "message", "explanation"]
        columns += ["correction", "n_corrections", "other_study", "rows"]
        return pd.DataFrame(rows, columns=columns)

    def check_frame(self) -> pd.DataFrame:
        """One row a check: what it asks, how often it was made, what it found, why it could not be made."""
        import pandas as pd

        rows = [
            {
                "check": count.check,
                "asks": CHECKS[count.check],
                "n_checked": count.n_checked,
                "n_found": count.n_found,
                "n_not_checkable": count.n_not_checkable,
                "reasons": count.reasons,
            }
            for count in self.counts
        ]
        columns = ["check", "asks", "n_checked", "n_found", "n_not_checkable", "reasons"]
        return pd.DataFrame(rows, columns=columns)

    def percentage_frame(self) -> pd.DataFrame:
        """One row a survival percentage; standard errors are probabilities."""
        import pandas as pd

        names = ["study", "endpoint", "group", "time", "share", "n_total", "n_at_risk", "least_censored"]
        names += ["scales", "se_lower", "se_upper", "bound_lower", "bound_upper", "row_id"]
        rows = [
            {name: getattr(one, name) for name in names} | {"scales": ", ".join(one.scales)}
            for one in self.percentages
        ]
        counts = dict.fromkeys(("n_total", "n_at_risk", "least_censored"), "Int64")
        return pd.DataFrame(rows, columns=names).astype(counts)

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Studies with findings by checks; needs matplotlib."""
        from netsynth.plots.audit import audit_plot

        return audit_plot(self, ax=ax)

    @property
    def headline(self) -> str:
        """How many studies and findings of each severity."""
        n = len(self.studies) - (PUBLISHED in self.studies)
        found = [f"{count} {severity}" for severity, count in self.n_findings.items() if count]
        what = _format.listing(found) if found else "nothing found"
        return f"{self.title}: {_format.plural(n, 'study', 'studies')}, {what}"

    def __str__(self) -> str:
        lines = [self.headline]
        for one in self.findings:
            lines += _wrapped(str(one), "  ", "    ")
            if one.explanation:
                lines += _wrapped(f"unless {one.explanation}", "    ", "      ")
            if one.n_corrections:
                lines += _wrapped(f"would fit: {one.correction}", "    ", "      ")
        rows = [
            (count.check, str(count.n_checked), str(count.n_found), str(count.n_not_checkable), count.reasons)
            for count in self.counts
        ]
        table = _format.text_table(("check", "made", "found", "not checkable", "why not"), rows)
        return "\n".join([*lines, *(f"  {line}" for line in table.splitlines())])

    def _repr_html_(self) -> str:
        rows = [
            (one.severity, one.where, one.message, one.explanation, "; ".join(one.corrections))
            for one in self.findings
        ]
        header = ("severity", "where", "what does not fit", "unless", "would fit")
        return _format.html_table(header, rows, caption=self.headline)


def _wrapped(text: str, first: str, later: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=later,
        break_long_words=False,
        break_on_hyphens=False,
    )
