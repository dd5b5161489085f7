"""What selective publication may have done: selection models, PET-PEESE, fail-safe numbers, excess significance."""

from netsynth.selection.excess import assess_excess_significance, failsafe_n
from netsynth.selection.models import fit_selection_model
from netsynth.selection.precision import pet_peese

__all__ = ["assess_excess_significance", "failsafe_n", "fit_selection_model", "pet_peese"]
