"""What authors print, as values and back: one grammar, one parser, one formatter."""

from netsynth.reported.formatter import format_reported
from netsynth.reported.parser import parse_interval, parse_number, parse_reported
from netsynth.reported.record import ReportedText

__all__ = ["ReportedText", "format_reported", "parse_interval", "parse_number", "parse_reported"]
