"""Results and reviews as tables: for the eye, and as Markdown, HTML, LaTeX, CSV or a data frame."""

from netsynth.tables.audit import audit_table
from netsynth.tables.certainty import certainty_table
from netsynth.tables.characteristics import characteristics_table
from netsynth.tables.exclusions import exclusions_table
from netsynth.tables.factors import evidence_table, factor_table, mapping_table
from netsynth.tables.findings import BaselineSurvival, findings_table
from netsynth.tables.flow import flow_table
from netsynth.tables.outcomes import outcomes_table
from netsynth.tables.over_time import bounds_table, curve_table, median_survival_table
from netsynth.tables.pooled import pooled_table, weights_table
from netsynth.tables.quality import ratings_table, reporting_table
from netsynth.tables.summary import summary_table
from netsynth.tables.swim import swim_table
from netsynth.tables.table import Column, Table

__all__ = [
    "BaselineSurvival",
    "Column",
    "Table",
    "audit_table",
    "bounds_table",
    "certainty_table",
    "characteristics_table",
    "curve_table",
    "evidence_table",
    "exclusions_table",
    "factor_table",
    "findings_table",
    "flow_table",
    "mapping_table",
    "median_survival_table",
    "outcomes_table",
    "pooled_table",
    "ratings_table",
    "reporting_table",
    "summary_table",
    "swim_table",
    "weights_table",
]
