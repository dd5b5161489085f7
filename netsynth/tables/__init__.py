"""Results and reviews as tables: for the eye, and as Markdown, HTML, LaTeX, CSV or a data frame."""

from netsynth.tables.audit import audit_table
from netsynth.tables.characteristics import characteristics_table
from netsynth.tables.exclusions import exclusions_table
from netsynth.tables.factors import evidence_table, factor_table, mapping_table
from netsynth.tables.outcomes import outcomes_table
from netsynth.tables.pooled import pooled_table, weights_table
from netsynth.tables.quality import ratings_table, reporting_table
from netsynth.tables.summary import summary_table
from netsynth.tables.table import Column, Table

__all__ = [
    "Column",
    "Table",
    "audit_table",
    "characteristics_table",
    "evidence_table",
    "exclusions_table",
    "factor_table",
    "mapping_table",
    "outcomes_table",
    "pooled_table",
    "ratings_table",
    "reporting_table",
    "summary_table",
    "weights_table",
]
