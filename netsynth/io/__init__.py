"""Files and data frames to a checked review, and back without loss."""

from netsynth.io.frames import table_frame
from netsynth.io.read import read_review
from netsynth.io.write import write_review

__all__ = ["read_review", "table_frame", "write_review"]
