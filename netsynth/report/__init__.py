"""A whole review at once: the analysis, the paragraph, and the files a reader wants."""

from netsynth.report.analysis import ReviewAnalysis, analyse_review
from netsynth.report.files import write_report

__all__ = ["ReviewAnalysis", "analyse_review", "write_report"]
