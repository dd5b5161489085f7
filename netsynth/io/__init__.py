"""Files and data frames to a checked review, and back without loss; clicked points to curves."""

from netsynth.io.digitized import read_digitized
from netsynth.io.frames import table_frame
from netsynth.io.read import read_review
from netsynth.io.write import write_review

__all__ = ["read_digitized", "read_review", "table_frame", "write_review"]
