"""Evidence synthesis of reported survival outcomes: from the fragments papers print to pooled answers."""

from netsynth import datasets, plots, tables
from netsynth.aggregate import median_range
from netsynth.arms import compare_arms
from netsynth.audit import audit
from netsynth.bayes import pool_bayes
from netsynth.counts import pool_proportions, pool_rates
from netsynth.couple import couple_arms
from netsynth.data.characteristic import ReportedCharacteristic
from netsynth.data.digitized import DigitizedCurve
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
from netsynth.dependent import overlap_covariance, pool_dependent, regress_dependent
from netsynth.diagnose import accumulate, influence, leave_one_out
from netsynth.errors import (
    AsymmetryWarning,
    BackTransformationWarning,
    BoundaryWarning,
    Caution,
    ContinuityCorrectionWarning,
    ConvergenceError,
    FewStudiesWarning,
    HarmonisationWarning,
    ImpossibleReportError,
    ImputedVarianceWarning,
    InconsistentReportWarning,
    InvalidInputError,
    NarrowIntervalWarning,
    NetsynthError,
    NetsynthWarning,
    OverlapWarning,
    PriorWarning,
    Problem,
    ReadError,
    ReportedTextError,
    UnusableDataWarning,
)
from netsynth.fragments import FragmentPrior, fit_fragments
from netsynth.io import read_digitized, read_review, write_review
from netsynth.ipd import reconstruct_ipd
from netsynth.multivariate import pool_multivariate
from netsynth.outcomes import summarize_outcomes
from netsynth.pool import pool_effects
from netsynth.prognostic import summarize_factors
from netsynth.proportions import pool_outcome
from netsynth.quality import score_reporting
from netsynth.reconstruct import reconstruct_survival
from netsynth.regress import regress_effects
from netsynth.report import write_report
from netsynth.reported import ReportedText, format_reported, parse_number, parse_reported
from netsynth.results.aggregated import MedianRange
from netsynth.results.arms import ArmComparison, ArmComparisons
from netsynth.results.asymmetry import AsymmetryTest, LimitEffect
from netsynth.results.audit import Audit, AuditFinding
from netsynth.results.cohort_series import CohortSeries
from netsynth.results.contrast import Contrast
from netsynth.results.counts import PooledCounts
from netsynth.results.coupled import CoupledArms
from netsynth.results.curve import SurvivalCurve
from netsynth.results.dependence_sensitivity import DependenceSensitivity
from netsynth.results.dependent import DependentEffect, OverlapCovariance
from netsynth.results.dependent_regression import DependentRegression
from netsynth.results.ensemble import CombinedEstimate, PseudoData, PseudoEnsemble, combine_analyses
from netsynth.results.excess import ExcessSignificance, FailSafeN
from netsynth.results.fragments import CountDistribution, Draws, FragmentPosterior
from netsynth.results.gosh import SubsetEffects
from netsynth.results.influence import StudyInfluence
from netsynth.results.ipd import PseudoIPD
from netsynth.results.moderator_tests import ModeratorTest, RegressionPrediction
from netsynth.results.multivariate import MultivariateEffect
from netsynth.results.outcomes import OutcomeSummary
from netsynth.results.permutation import PermutationTest
from netsynth.results.pet_peese import PetPeese
from netsynth.results.pooled import PooledEffect
from netsynth.results.posterior import PosteriorEffect
from netsynth.results.prognostic import FactorSummary
from netsynth.results.quality import ReportingCompleteness
from netsynth.results.regression import MetaRegression
from netsynth.results.selection import SelectionModel
from netsynth.results.series import PooledSeries
from netsynth.results.subgroups import SubgroupComparison
from netsynth.results.trim_fill import TrimAndFill
from netsynth.results.within_correlation import CorrelationSensitivity
from netsynth.selection import assess_excess_significance, failsafe_n, fit_selection_model, pet_peese
from netsynth.small_studies import assess_asymmetry, limit_effect, trim_and_fill
from netsynth.subgroups import compare_subgroups
from netsynth.subsets import gosh
from netsynth.survival import pool_landmark

__version__ = "0.1.0"

__all__ = [
    "ENDPOINTS",
    "FACTOR_MAP",
    "JBI_CASE_SERIES",
    "MINORS",
    "QUIPS",
    "ArmComparison",
    "ArmComparisons",
    "AsymmetryTest",
    "AsymmetryWarning",
    "Audit",
    "AuditFinding",
    "BackTransformationWarning",
    "BoundaryWarning",
    "Caution",
    "Checklist",
    "CohortSeries",
    "CombinedEstimate",
    "ContinuityCorrectionWarning",
    "Contrast",
    "ConvergenceError",
    "CorrelationSensitivity",
    "CountDistribution",
    "CoupledArms",
    "DependenceSensitivity",
    "DependentEffect",
    "DependentRegression",
    "DigitizedCurve",
    "Draws",
    "Endpoint",
    "ExcessSignificance",
    "Exclusion",
    "FactorMap",
    "FactorRule",
    "FactorSummary",
    "FailSafeN",
    "FewStudiesWarning",
    "FragmentPosterior",
    "FragmentPrior",
    "Group",
    "HarmonisationWarning",
    "ImpossibleReportError",
    "ImputedVarianceWarning",
    "InconsistentReportWarning",
    "InvalidInputError",
    "LimitEffect",
    "MedianRange",
    "MetaRegression",
    "ModeratorTest",
    "MultivariateEffect",
    "NarrowIntervalWarning",
    "NetsynthError",
    "NetsynthWarning",
    "OutcomeSummary",
    "OverlapCovariance",
    "OverlapWarning",
    "PermutationTest",
    "PetPeese",
    "PooledCounts",
    "PooledEffect",
    "PooledSeries",
    "PosteriorEffect",
    "PriorWarning",
    "Problem",
    "PseudoData",
    "PseudoEnsemble",
    "PseudoIPD",
    "PublishedTarget",
    "QualityAssessment",
    "ReadError",
    "RegressionPrediction",
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
    "SelectionModel",
    "Source",
    "Study",
    "StudyInfluence",
    "SubgroupComparison",
    "SubsetEffects",
    "SurvivalCurve",
    "SurvivalPoint",
    "TrimAndFill",
    "UnusableDataWarning",
    "accumulate",
    "assess_asymmetry",
    "assess_excess_significance",
    "audit",
    "combine_analyses",
    "compare_arms",
    "compare_subgroups",
    "couple_arms",
    "datasets",
    "failsafe_n",
    "fit_fragments",
    "fit_selection_model",
    "format_reported",
    "gosh",
    "influence",
    "leave_one_out",
    "limit_effect",
    "median_range",
    "overlap_covariance",
    "parse_number",
    "parse_reported",
    "pet_peese",
    "plots",
    "pool_bayes",
    "pool_dependent",
    "pool_effects",
    "pool_landmark",
    "pool_multivariate",
    "pool_outcome",
    "pool_proportions",
    "pool_rates",
    "read_digitized",
    "read_review",
    "reconstruct_ipd",
    "reconstruct_survival",
    "regress_dependent",
    "regress_effects",
    "score_reporting",
    "summarize_factors",
    "summarize_outcomes",
    "tables",
    "trim_and_fill",
    "write_report",
    "write_review",
]


def __dir__() -> list[str]:
    return sorted(__all__)
