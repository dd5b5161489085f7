"""Evidence synthesis of reported survival outcomes: from the fragments papers print to pooled answers."""

from netsynth import datasets, plots, tables
from netsynth.aggregate import median_range
from netsynth.counts import pool_proportions, pool_rates
from netsynth.data.characteristic import ReportedCharacteristic
from netsynth.data.endpoint import ENDPOINTS, Endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.data.harmonise import FACTOR_MAP, FactorMap, FactorRule
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.proportion import ReportedProportion
from netsynth.data.quality import JBI_CASE_SERIES, MINORS, QUIPS, Checklist, QualityAssessment
from netsynth.data.review import PublishedTarget, Review
from netsynth.data.selection import Exclusion, Selection
from netsynth.data.source import Source
from netsynth.data.study import Group, Study
from netsynth.data.survival import ReportedSurvival, ReportedTime, SurvivalPoint
from netsynth.errors import (
    Caution,
    ContinuityCorrectionWarning,
    ConvergenceError,
    FewStudiesWarning,
    HarmonisationWarning,
    ImputedVarianceWarning,
    InconsistentReportWarning,
    InvalidInputError,
    NarrowIntervalWarning,
    NetsynthError,
    NetsynthWarning,
    OverlapWarning,
    Problem,
    ReadError,
    ReportedTextError,
    UnusableDataWarning,
)
from netsynth.io import read_review, write_review
from netsynth.outcomes import summarize_outcomes
from netsynth.pool import pool_effects
from netsynth.prognostic import summarize_factors
from netsynth.proportions import pool_outcome
from netsynth.quality import score_reporting
from netsynth.reconstruct import reconstruct_survival
from netsynth.report import write_report
from netsynth.reported import ReportedText, format_reported, parse_number, parse_reported
from netsynth.results.aggregated import MedianRange
from netsynth.results.curve import SurvivalCurve
from netsynth.results.outcomes import OutcomeSummary
from netsynth.results.pooled import PooledEffect
from netsynth.results.prognostic import FactorSummary
from netsynth.results.quality import ReportingCompleteness
from netsynth.survival import pool_landmark

__version__ = "0.1.0"

__all__ = [
    "ENDPOINTS",
    "FACTOR_MAP",
    "JBI_CASE_SERIES",
    "MINORS",
    "QUIPS",
    "Caution",
    "Checklist",
    "ContinuityCorrectionWarning",
    "ConvergenceError",
    "Endpoint",
    "Exclusion",
    "FactorMap",
    "FactorRule",
    "FactorSummary",
    "FewStudiesWarning",
    "Group",
    "HarmonisationWarning",
    "ImputedVarianceWarning",
    "InconsistentReportWarning",
    "InvalidInputError",
    "MedianRange",
    "NarrowIntervalWarning",
    "NetsynthError",
    "NetsynthWarning",
    "OutcomeSummary",
    "OverlapWarning",
    "PooledEffect",
    "Problem",
    "PublishedTarget",
    "QualityAssessment",
    "ReadError",
    "ReportedCharacteristic",
    "ReportedFactor",
    "ReportedInterval",
    "ReportedNumber",
    "ReportedProportion",
    "ReportedSurvival",
    "ReportedText",
    "ReportedTextError",
    "ReportedTime",
    "ReportingCompleteness",
    "Review",
    "Selection",
    "Source",
    "Study",
    "SurvivalCurve",
    "SurvivalPoint",
    "UnusableDataWarning",
    "datasets",
    "format_reported",
    "median_range",
    "parse_number",
    "parse_reported",
    "plots",
    "pool_effects",
    "pool_landmark",
    "pool_outcome",
    "pool_proportions",
    "read_review",
    "reconstruct_survival",
    "score_reporting",
    "summarize_factors",
    "summarize_outcomes",
    "tables",
    "write_report",
    "write_review",
]


def __dir__() -> list[str]:
    return sorted(__all__)
