"""Evidence synthesis of reported survival outcomes: from the fragments papers print to pooled answers."""

from netsynth import datasets, plots, tables
from netsynth.aggregate import median_range
from netsynth.arms import compare_arms
from netsynth.audit import audit
from netsynth.bayes import pool_bayes
from netsynth.certainty import GradeRule, grade_directions, grade_factor, overall_risk
from netsynth.counts import pool_proportions, pool_rates
from netsynth.couple import couple_arms
from netsynth.data.characteristic import ReportedCharacteristic
from netsynth.data.digitized import DigitizedCurve
from netsynth.data.endpoint import ENDPOINTS, Endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.data.harmonise import FACTOR_MAP, FactorMap, FactorRule
from netsynth.data.marker import CutPoint, MarkerScale, cut_points
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.prisma import PrismaFlow
from netsynth.data.proportion import ReportedProportion
from netsynth.data.quality import JBI_CASE_SERIES, MINORS, QUIPS, Checklist, QualityAssessment
from netsynth.data.review import PublishedTarget, Review
from netsynth.data.selection import Exclusion, Selection
from netsynth.data.source import Source
from netsynth.data.study import Group, Study
from netsynth.data.survival import ReportedSurvival, ReportedTime, SurvivalPoint
from netsynth.dependent import overlap_covariance, pool_dependent, regress_dependent
from netsynth.diagnose import accumulate, influence, leave_one_out
from netsynth.differences import compare_curves, pool_differences
from netsynth.errors import (
    AsymmetryWarning,
    BackTransformationWarning,
    BoundaryWarning,
    Caution,
    ChosenCutPointWarning,
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
    SkewedDataWarning,
    UnusableDataWarning,
)
from netsynth.factor_pooling import assess_factor_asymmetry, bound_reporting, pool_factor
from netsynth.fragments import FragmentPrior, fit_fragments
from netsynth.hazard_ratio import hazard_ratio
from netsynth.io import read_digitized, read_review, write_review
from netsynth.ipd import reconstruct_ipd
from netsynth.markers import RescaledRatio, rescale_log_hr
from netsynth.median_survival import pool_median_survival
from netsynth.medians import aggregate_medians, convert_five_numbers
from netsynth.multivariate import pool_multivariate
from netsynth.one_stage import stratified_hazard_ratio
from netsynth.outcomes import summarize_outcomes
from netsynth.over_time import pool_survival
from netsynth.pool import pool_effects
from netsynth.pooled_bounds import bound_pooled_survival
from netsynth.prognostic import summarize_factors
from netsynth.proportions import pool_outcome
from netsynth.pvalues import combine_pvalues
from netsynth.quality import score_reporting
from netsynth.reconstruct import reconstruct_survival
from netsynth.regress import regress_effects
from netsynth.report import write_report
from netsynth.reported import ReportedText, format_reported, parse_number, parse_reported
from netsynth.results.aggregated import MedianRange
from netsynth.results.arms import ArmComparison, ArmComparisons
from netsynth.results.asymmetry import AsymmetryTest, LimitEffect
from netsynth.results.audit import Audit, AuditFinding
from netsynth.results.certainty import FactorCertainty
from netsynth.results.cohort_series import CohortSeries
from netsynth.results.contrast import Contrast
from netsynth.results.counts import PooledCounts
from netsynth.results.coupled import CoupledArms
from netsynth.results.curve import SurvivalCurve
from netsynth.results.curve_bootstrap import CurveBootstrap
from netsynth.results.curve_difference import CurveDifference
from netsynth.results.dependence_sensitivity import DependenceSensitivity
from netsynth.results.dependent import DependentEffect, OverlapCovariance
from netsynth.results.dependent_regression import DependentRegression
from netsynth.results.ensemble import CombinedEstimate, PseudoData, PseudoEnsemble, combine_analyses
from netsynth.results.excess import ExcessSignificance, FailSafeN
from netsynth.results.fragments import CountDistribution, Draws, FragmentPosterior
from netsynth.results.gosh import SubsetEffects
from netsynth.results.hazard_ratio import HazardRatioEstimate
from netsynth.results.influence import StudyInfluence
from netsynth.results.ipd import PseudoIPD
from netsynth.results.median_survival import PooledMedianSurvival
from netsynth.results.medians import AggregatedMedians, ConvertedMeans
from netsynth.results.moderator_tests import ModeratorTest, RegressionPrediction
from netsynth.results.multivariate import MultivariateEffect
from netsynth.results.outcomes import OutcomeSummary
from netsynth.results.permutation import PermutationTest
from netsynth.results.pet_peese import PetPeese
from netsynth.results.pooled import PooledEffect
from netsynth.results.pooled_bounds import PooledBounds
from netsynth.results.pooled_curve import PooledCurve, StudyCurve
from netsynth.results.pooled_patients import PooledPatients
from netsynth.results.posterior import PosteriorEffect
from netsynth.results.prognostic import FactorSummary
from netsynth.results.pvalues import CombinedPValue
from netsynth.results.quality import ReportingCompleteness
from netsynth.results.ratios import RatioSpread
from netsynth.results.regression import MetaRegression
from netsynth.results.reporting_bounds import ReportingBounds
from netsynth.results.risk_of_bias import OverallRule, RiskOfBias
from netsynth.results.selection import SelectionModel
from netsynth.results.series import PooledSeries
from netsynth.results.subgroups import SubgroupComparison
from netsynth.results.swim import SwimReport
from netsynth.results.trend import CategoryTrend, TrendBounds
from netsynth.results.trim_fill import TrimAndFill
from netsynth.results.votes import VoteCount
from netsynth.results.within_correlation import CorrelationSensitivity
from netsynth.selection import assess_excess_significance, failsafe_n, fit_selection_model, pet_peese
from netsynth.small_studies import assess_asymmetry, limit_effect, trim_and_fill
from netsynth.subgroups import compare_subgroups
from netsynth.subsets import gosh
from netsynth.survival import pool_landmark
from netsynth.swim import swim_report
from netsynth.trend import trend_bounds, trend_from_categories
from netsynth.votes import count_votes, describe_ratios

__version__ = "0.1.0"

__all__ = [
    "ENDPOINTS",
    "FACTOR_MAP",
    "JBI_CASE_SERIES",
    "MINORS",
    "QUIPS",
    "AggregatedMedians",
    "ArmComparison",
    "ArmComparisons",
    "AsymmetryTest",
    "AsymmetryWarning",
    "Audit",
    "AuditFinding",
    "BackTransformationWarning",
    "BoundaryWarning",
    "CategoryTrend",
    "Caution",
    "Checklist",
    "ChosenCutPointWarning",
    "CohortSeries",
    "CombinedEstimate",
    "CombinedPValue",
    "ContinuityCorrectionWarning",
    "Contrast",
    "ConvergenceError",
    "ConvertedMeans",
    "CorrelationSensitivity",
    "CountDistribution",
    "CoupledArms",
    "CurveBootstrap",
    "CurveDifference",
    "CutPoint",
    "DependenceSensitivity",
    "DependentEffect",
    "DependentRegression",
    "DigitizedCurve",
    "Draws",
    "Endpoint",
    "ExcessSignificance",
    "Exclusion",
    "FactorCertainty",
    "FactorMap",
    "FactorRule",
    "FactorSummary",
    "FailSafeN",
    "FewStudiesWarning",
    "FragmentPosterior",
    "FragmentPrior",
    "GradeRule",
    "Group",
    "HarmonisationWarning",
    "HazardRatioEstimate",
    "ImpossibleReportError",
    "ImputedVarianceWarning",
    "InconsistentReportWarning",
    "InvalidInputError",
    "LimitEffect",
    "MarkerScale",
    "MedianRange",
    "MetaRegression",
    "ModeratorTest",
    "MultivariateEffect",
    "NarrowIntervalWarning",
    "NetsynthError",
    "NetsynthWarning",
    "OutcomeSummary",
    "OverallRule",
    "OverlapCovariance",
    "OverlapWarning",
    "PermutationTest",
    "PetPeese",
    "PooledBounds",
    "PooledCounts",
    "PooledCurve",
    "PooledEffect",
    "PooledMedianSurvival",
    "PooledPatients",
    "PooledSeries",
    "PosteriorEffect",
    "PriorWarning",
    "PrismaFlow",
    "Problem",
    "PseudoData",
    "PseudoEnsemble",
    "PseudoIPD",
    "PublishedTarget",
    "QualityAssessment",
    "RatioSpread",
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
    "ReportingBounds",
    "ReportingCompleteness",
    "RescaledRatio",
    "Review",
    "RiskOfBias",
    "Selection",
    "SelectionModel",
    "SkewedDataWarning",
    "Source",
    "Study",
    "StudyCurve",
    "StudyInfluence",
    "SubgroupComparison",
    "SubsetEffects",
    "SurvivalCurve",
    "SurvivalPoint",
    "SwimReport",
    "TrendBounds",
    "TrimAndFill",
    "UnusableDataWarning",
    "VoteCount",
    "accumulate",
    "aggregate_medians",
    "assess_asymmetry",
    "assess_excess_significance",
    "assess_factor_asymmetry",
    "audit",
    "bound_pooled_survival",
    "bound_reporting",
    "combine_analyses",
    "combine_pvalues",
    "compare_arms",
    "compare_curves",
    "compare_subgroups",
    "convert_five_numbers",
    "count_votes",
    "couple_arms",
    "cut_points",
    "datasets",
    "describe_ratios",
    "failsafe_n",
    "fit_fragments",
    "fit_selection_model",
    "format_reported",
    "gosh",
    "grade_directions",
    "grade_factor",
    "hazard_ratio",
    "influence",
    "leave_one_out",
    "limit_effect",
    "median_range",
    "overall_risk",
    "overlap_covariance",
    "parse_number",
    "parse_reported",
    "pet_peese",
    "plots",
    "pool_bayes",
    "pool_dependent",
    "pool_differences",
    "pool_effects",
    "pool_factor",
    "pool_landmark",
    "pool_median_survival",
    "pool_multivariate",
    "pool_outcome",
    "pool_proportions",
    "pool_rates",
    "pool_survival",
    "read_digitized",
    "read_review",
    "reconstruct_ipd",
    "reconstruct_survival",
    "regress_dependent",
    "regress_effects",
    "rescale_log_hr",
    "score_reporting",
    "stratified_hazard_ratio",
    "summarize_factors",
    "summarize_outcomes",
    "swim_report",
    "tables",
    "trend_bounds",
    "trend_from_categories",
    "trim_and_fill",
    "write_report",
    "write_review",
]


def __dir__() -> list[str]:
    return sorted(__all__)
