"""The patients behind a pooled curve, and lifelines' own fits of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import FloatArray, IntArray
from netsynth.errors import InvalidInputError
from netsynth.kernels.censored_fits import SHAPES, Location
from netsynth.results.ensemble import PseudoData

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PooledPatients"]


@dataclass(frozen=True, slots=True, eq=False)
class PooledPatients:
    """Patients of all studies as a pooled curve used them, from `PooledCurve.patients`.

    Who is followed after the last time up to which a reconstruction may be used is censored there, and for method
    "parametric" who left at time 0 is censored just after it. Patients that are known one by one are the same in
    every data set.

    Attributes
    ----------
    study : tuple of str
        The studies, k of them.
    time_months : tuple of ndarray
        Times of each study, read-only, shape (b, n) for b data sets of n patients.
    event : tuple of ndarray of int
        1 for an event, 0 for a censoring, as `time_months`.

    Examples
    --------
    >>> import warnings
    >>> from netsynth import pool_survival
    >>> from netsynth.errors import NetsynthWarning
    >>> warnings.simplefilter("ignore", NetsynthWarning)  # they stay with the result
    >>> data = {
    ...     "study": ["Adams"] * 5 + ["Brown"] * 5,
    ...     "time_months": [3, 8, 14, 20, 24, 2, 5, 9, 12, 30],
    ...     "event": [1, 1, 0, 1, 0, 1, 1, 1, 0, 1],
    ... }
    >>> pooled = pool_survival(data, "OS", method="stratified", times_months=[12])

    The average curve is that of lifelines' Kaplan-Meier estimates, weighted by patients:

    >>> curves = pooled.patients.kaplan_meier()
    >>> at_12 = sum(0.5 * float(curves[study].predict(12)) for study in ("Adams", "Brown"))
    >>> f"{at_12:.3f}, {pooled.survival(12):.3f}"
    '0.500, 0.500'
    >>> print(pooled.patients)
    10 patients of 2 studies
    """

    study: tuple[str, ...]
    time_months: tuple[FloatArray, ...]
    event: tuple[IntArray, ...]

    @property
    def n_total(self) -> int:
        """Patients."""
        return sum(time.shape[1] for time in self.time_months)

    @property
    def n_data_sets(self) -> int:
        """Data sets that all studies have: 1 where all patients are known one by one."""
        return min({time.shape[0] for time in self.time_months} - {1}, default=1)

    def _data(self, data_set: int) -> list[PseudoData]:
        i = _validate.count(data_set, "data_set")
        if i >= self.n_data_sets:
            raise InvalidInputError(
                f"data_set counts from 0 and there {'is' if self.n_data_sets == 1 else 'are'} "
                f"{_format.plural(self.n_data_sets, 'data set')}; got {i}."
            )
        pairs = zip(self.time_months, self.event, strict=True)
        return [PseudoData(t[i if len(t) > 1 else 0], e[i if len(e) > 1 else 0]) for t, e in pairs]

    def to_frame(self, data_set: int = 0) -> pd.DataFrame:
        """One row a patient of a data set: study, time_months, event, as `netsynth.pool_survival` takes them."""
        import pandas as pd

        data = self._data(data_set)
        return pd.DataFrame(
            {
                "study": np.repeat(np.array(self.study, dtype=object), [each.time.size for each in data]),
                "time_months": np.concatenate([each.time for each in data]),
                "event": np.concatenate([each.event for each in data]),
            }
        )

    def kaplan_meier(self, data_set: int = 0) -> dict[str, Any]:
        """A fitted `lifelines.KaplanMeierFitter` for each study; weighted by patients they make the average curve."""
        from netsynth._compat import kaplan_meier_fitter

        data = zip(self.study, self._data(data_set), strict=True)
        return {name: kaplan_meier_fitter(*each, label=name) for name, each in data}

    def parametric(self, family: Location = "weibull", data_set: int = 0) -> Any:
        """One curve for all patients, fitted by lifelines: the curve of method "parametric" with common effects.

        Parameters
        ----------
        family : {"weibull", "exponential", "loglogistic", "lognormal"}
            A `lifelines.WeibullFitter`, `ExponentialFitter`, `LogLogisticFitter` or `LogNormalFitter`.
        data_set : int
            Which, counted from 0.

        Raises
        ------
        InvalidInputError
            If the family is unknown, there is no such data set, or a patient has a time of 0.
        """
        from netsynth._compat import location_fitter

        _validate.choice(family, "family", SHAPES)
        data = self._data(data_set)
        for name, each in zip(self.study, data, strict=True):
            if n := int((each.time <= 0).sum()):
                raise InvalidInputError(
                    f"{name}: {_format.plural(n, 'patient')} left at time 0, which no {family} distribution allows. "
                    "Leave them out, or use kaplan_meier()."
                )
        time, event = (np.concatenate(part) for part in zip(*data, strict=True))
        return location_fitter(family, time, event, label="all studies")

    def cox(self, other: PooledPatients, data_set: int = 0) -> Any:
        """Cox's model of two arms of the same trials, each with its own baseline, fitted by lifelines.

        Its log hazard ratio is that of `netsynth.stratified_hazard_ratio` in one data set.

        Parameters
        ----------
        other : PooledPatients
            The other arms. They go together by name where both have the same names, and by their order where they
            share none.
        data_set : int
            Which, counted from 0.

        Returns
        -------
        lifelines.CoxPHFitter
            Stratified by study, with one covariate, `group`: 1 for these patients, 0 for the other ones.

        Raises
        ------
        InvalidInputError
            If `other` is something else, the arms are not equally many or share some names alone, or there is no such
            data set.
        """
        import pandas as pd

        from netsynth._compat import stratified_cox_fitter

        if not isinstance(other, PooledPatients):
            raise InvalidInputError(
                f"other must be PooledPatients, from PooledCurve.patients; got {type(other).__name__}."
            )
        if len(self.study) != len(other.study):
            raise InvalidInputError(
                f"Each trial has two arms; got {_format.plural(len(self.study), 'arm')} and {len(other.study)} others."
            )
        groups = []
        for arms, others, group in ((self, other, 1.0), (other, self, 0.0)):
            same = arms.n_data_sets == 1 < others.n_data_sets  # known one by one, the same in every data set
            groups.append(arms.to_frame(0 if same else data_set).assign(group=group))
        if not go_by_name(self.study, other.study):
            names = dict(zip(other.study, self.study, strict=True))
            groups[1]["study"] = groups[1]["study"].map(names)
        return stratified_cox_fitter(pd.concat(groups, ignore_index=True))

    def __str__(self) -> str:
        of = f"{_format.plural(self.n_total, 'patient')} of {_format.plural(len(self.study), 'study', 'studies')}"
        return of if self.n_data_sets == 1 else f"{of}, {self.n_data_sets} data sets"


def go_by_name(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether arms of trials go together by their names, and not by their order, for which they must share none.

    Raises
    ------
    InvalidInputError
        If they share some names alone, so that neither tells which go together.
    """
    odd = [[name for name in mine if name not in others] for mine, others in ((one, other), (other, one))]
    if not any(odd):
        return True
    if len(odd[0]) == len(one) and len(odd[1]) == len(other):
        return False
    alone = [
        f"{_format.listing(repr(name) for name in names)} among the {side}"
        for names, side in zip(odd, ("first", "second"), strict=True)
        if names
    ]
    raise InvalidInputError(
        f"Some trials have the same name in both arms, and others are there once: {'; '.join(alone)}. Name both arms "
        "of every trial alike, or leave out those without a second arm."
    )
