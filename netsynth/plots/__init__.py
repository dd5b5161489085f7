"""Results to matplotlib axes. A plot takes a result, returns the Axes, and computes no statistic."""

from netsynth.plots._style import style
from netsynth.plots.curve import curve_plot
from netsynth.plots.factors import factor_plot
from netsynth.plots.flow import flow_plot
from netsynth.plots.forest import forest_plot
from netsynth.plots.outcomes import outcome_plot
from netsynth.plots.quality import traffic_light_plot

__all__ = [
    "curve_plot",
    "factor_plot",
    "flow_plot",
    "forest_plot",
    "outcome_plot",
    "style",
    "traffic_light_plot",
]
