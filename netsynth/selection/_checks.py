"""What the verbs on selective publication ask of their input, and say of few studies."""

from __future__ import annotations

import math
from typing import Final

from netsynth.errors import Caution, FewStudiesWarning, InvalidInputError, caution
from netsynth.kernels.scales import MEASURES
from netsynth.results.pooled import PooledEffect, require_pooled

#: Studies, as for tests of asymmetry: Sterne et al. (2011), https://doi.org/10.1136/bmj.d4002.
ENOUGH: Final = 10
#: Frames from `caution` up to the caller of a verb: caution, a helper, the verb, its caller.
USER: Final = 4


def check(pooled: PooledEffect, what: str, *, least: int) -> None:
    """Refuse measures without a value of no effect, and too few studies."""
    require_pooled(pooled, what)
    measure = MEASURES[pooled.measure]
    if math.isnan(measure.null):
        raise InvalidInputError(
            f"{what} asks what is significant against no effect, of which a {measure.label.lower()} has no value. "
            "Nothing of a single arm is missing for want of significance; look for results selected by time point."
        )
    if pooled.k < least:
        raise InvalidInputError(f"{what} needs at least {least} studies; got {pooled.k}.")


def fraction(value: float, name: str) -> None:
    """Refuse what is not a fraction strictly between 0 and 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise InvalidInputError(f"{name} must be a fraction between 0 and 1, such as 0.05; got {value!r}.")


def few(pooled: PooledEffect, what: str) -> tuple[Caution, ...]:
    """Warn of fewer than ten studies; to be called by a verb itself."""
    if pooled.k >= ENOUGH:
        return ()
    message = f"{pooled.k} studies are too few to tell {what}; ten are the usual minimum."
    return (caution(FewStudiesWarning, message, stacklevel=USER),)
