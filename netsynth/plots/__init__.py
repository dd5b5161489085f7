"""Results to matplotlib axes. A plot takes a result, returns the Axes, and computes no statistic."""

from netsynth.plots._style import style
from netsynth.plots.albatross import albatross_plot
from netsynth.plots.arms import difference_plot
from netsynth.plots.audit import audit_plot
from netsynth.plots.baujat import baujat_plot
from netsynth.plots.bubble import bubble_plot
from netsynth.plots.curve import curve_plot
from netsynth.plots.curve_difference import curve_difference_plot
from netsynth.plots.dependent import cohort_forest_plot, cohort_series_plot, dependence_plot
from netsynth.plots.effect_direction import effect_direction_plot
from netsynth.plots.factors import factor_plot
from netsynth.plots.flow import flow_plot
from netsynth.plots.forest import forest_plot
from netsynth.plots.fragments import fragment_plot
from netsynth.plots.funnel import funnel_plot
from netsynth.plots.gosh import gosh_plot
from netsynth.plots.harvest import harvest_plot
from netsynth.plots.hazard_ratio import routes_plot
from netsynth.plots.influence import influence_plot
from netsynth.plots.ipd import ipd_plot
from netsynth.plots.median_survival import median_survival_plot
from netsynth.plots.medians import medians_plot
from netsynth.plots.multivariate import correlation_plot, outcomes_plot, pair_plot
from netsynth.plots.outcomes import outcome_plot
from netsynth.plots.pooled_bounds import pooled_bounds_plot
from netsynth.plots.pooled_curve import pooled_curve_plot
from netsynth.plots.posterior import posterior_plot
from netsynth.plots.prisma import prisma_plot
from netsynth.plots.pvalues import pvalue_plot
from netsynth.plots.quality import traffic_light_plot
from netsynth.plots.radial import radial_plot
from netsynth.plots.ratios import ratio_plot
from netsynth.plots.reporting_bounds import reporting_bounds_plot
from netsynth.plots.review_flow import review_flow_plot
from netsynth.plots.selection import pet_peese_plot, weight_plot
from netsynth.plots.series import series_plot
from netsynth.plots.subgroups import subgroup_plot
from netsynth.plots.trend import trend_plot
from netsynth.plots.votes import vote_plot

__all__ = [
    "albatross_plot",
    "audit_plot",
    "baujat_plot",
    "bubble_plot",
    "cohort_forest_plot",
    "cohort_series_plot",
    "correlation_plot",
    "curve_difference_plot",
    "curve_plot",
    "dependence_plot",
    "difference_plot",
    "effect_direction_plot",
    "factor_plot",
    "flow_plot",
    "forest_plot",
    "fragment_plot",
    "funnel_plot",
    "gosh_plot",
    "harvest_plot",
    "influence_plot",
    "ipd_plot",
    "median_survival_plot",
    "medians_plot",
    "outcome_plot",
    "outcomes_plot",
    "pair_plot",
    "pet_peese_plot",
    "pooled_bounds_plot",
    "pooled_curve_plot",
    "posterior_plot",
    "prisma_plot",
    "pvalue_plot",
    "radial_plot",
    "ratio_plot",
    "reporting_bounds_plot",
    "review_flow_plot",
    "routes_plot",
    "series_plot",
    "style",
    "subgroup_plot",
    "traffic_light_plot",
    "trend_plot",
    "vote_plot",
    "weight_plot",
]
