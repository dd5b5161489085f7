"""A whole review at once: the analysis, the paragraph, and the files a reader wants."""

from netsynth.report.analysis import ReviewAnalysis, analyse_review
from netsynth.report.files import write_report
from netsynth.report.pooling import NotPooled
from netsynth.report.sensitivity import SensitivityRow
from netsynth.results.review_flow import FlowLine, ReviewFlow

__all__ = [
    "FlowLine",
    "NotPooled",
    "ReviewAnalysis",
    "ReviewFlow",
    "SensitivityRow",
    "analyse_review",
    "write_report",
]
