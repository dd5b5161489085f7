"""Patients a study, real or reconstructed, and what they say of survival at the times of a grid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate, units
from netsynth._typing import FloatArray, IntArray
from netsynth.curve_methods.asked import SAME, Answer, Asked, distinct, frozen, some
from netsynth.curve_methods.columns import check_endpoints
from netsynth.curve_methods.reports import Doubt, study_name
from netsynth.data.endpoint import Endpoint, find_endpoint
from netsynth.errors import ImputedVarianceWarning, InvalidInputError, UnusableDataWarning
from netsynth.kernels.product_limit import product_limit, survival_at
from netsynth.results.curve import SurvivalCurve
from netsynth.results.ensemble import PseudoData, PseudoEnsemble
from netsynth.results.fragments import FragmentPosterior
from netsynth.results.ipd import PseudoIPD
from netsynth.results.moderators import columns_by_name
from netsynth.results.pooled_curve import StudyCurve
from netsynth.results.pooled_patients import PooledPatients

Reconstructed: TypeAlias = PseudoIPD | PseudoEnsemble | FragmentPosterior | SurvivalCurve
RECONSTRUCTED: Final = (PseudoIPD, PseudoEnsemble, FragmentPosterior, SurvivalCurve)
_COLUMNS: Final = ("study", "time_months", "event")


class StudyPatients(NamedTuple):
    """Data sets of one study, times in months and events of shape (b, n).

    `last` is the time up to which they may be used, at which who is followed longer is censored, and `curve` the
    reconstructed curve behind them, if it is one.
    """

    name: str
    time: FloatArray
    event: IntArray
    last: float
    curve: SurvivalCurve | None = None

    @property
    def n_draws(self) -> int:
        """Data sets, 1 for patients known one by one."""
        return int(self.time.shape[0])

    @property
    def n_total(self) -> int:
        """Patients."""
        return int(self.time.shape[1])

    @property
    def end(self) -> float:
        """Up to when somebody is followed in every data set."""
        return min(float(self.time.max(axis=1).min()), self.last)

    @property
    def first_event(self) -> float:
        """By when somebody has had the event in every data set; infinite for never."""
        first = np.where(self.event > 0, self.time, np.inf).min(axis=1)
        return float(first.max())

    def at_risk(self, time: FloatArray) -> FloatArray:
        """Patients at risk at times of shape (m,), mean over the data sets."""
        counts = [self.n_total - np.searchsorted(np.sort(row), time, "left") for row in self.time]
        return np.asarray(np.mean(counts, axis=0))

    def draw(self, i: int) -> PseudoData:
        """The data set of draw i; the only one for every draw."""
        row = 0 if self.n_draws == 1 else i
        return PseudoData(self.time[row], self.event[row])

    def up_to_last(self) -> StudyPatients:
        """As they are known: who is followed after the last time that may be used is censored there."""
        after = self.time > self.last
        if not after.any():
            return self
        return self._replace(time=np.minimum(self.time, self.last), event=np.where(after, 0, self.event))


class Patients(NamedTuple):
    """The studies, what they are about, and what to warn of."""

    endpoint: Endpoint
    studies: tuple[StudyPatients, ...]
    doubts: tuple[Doubt, ...]

    @property
    def label(self) -> str:
        """Name of the endpoint in words."""
        return self.endpoint.name or self.endpoint.code

    @property
    def n_draws(self) -> int:
        """Data sets a study, 1 if all patients are known one by one."""
        return max(study.n_draws for study in self.studies)


class PatientFit(Protocol):
    """What a method looks like that takes patients."""

    def __call__(self, patients: Patients, asked: Asked, /) -> Answer:
        """Pool the studies."""
        ...


def has_patients(data: object) -> bool:
    """Whether these are patients, or reconstructions of them, and not what reports print."""
    if isinstance(data, RECONSTRUCTED):
        return True
    if isinstance(data, Sequence) and not isinstance(data, str):
        return bool(data) and isinstance(data[0], RECONSTRUCTED)
    if isinstance(data, Mapping) or hasattr(data, "columns") or hasattr(data, "column_names"):
        return "event" in columns_by_name(data)
    return False


def read_patients(data: object, endpoint: str | Endpoint, n_draws: int, *, as_patients: bool) -> Patients:
    """Read the studies; data sets are drawn from a reconstruction that is not an ensemble.

    Parameters
    ----------
    data : reconstructed study, sequence of them, or columns `study`, `time_months`, `event`
    endpoint : str or Endpoint
    n_draws : int
        Data sets to draw.
    as_patients : bool
        Whether patients are wanted behind a `SurvivalCurve`; else it is kept as it is.

    Raises
    ------
    InvalidInputError
        If nothing can be used, endpoints are mixed, two studies have one name, or ensembles differ in their number of
        data sets. A reconstruction that does not tell its endpoint may be of any.
    """
    wanted = find_endpoint(endpoint)
    doubts: list[Doubt] = []
    if isinstance(data, RECONSTRUCTED):
        data = [data]
    if isinstance(data, Sequence):
        studies = [_reconstructed(one, i, n_draws, as_patients=as_patients) for i, one in enumerate(data, 1)]
        for study, one in zip(studies, data, strict=True):
            if one.endpoint and one.endpoint != wanted.code:
                raise InvalidInputError(
                    f"{study.name}: is of {one.endpoint}, and {wanted} is asked for. Endpoints are not mixed in one "
                    "curve."
                )
        imputed = [each.name for each in studies if each.curve is not None and each.curve.imputation()]
        if imputed:
            message = (
                "no confidence interval and no number at risk is printed at some time, so that the standard errors of "
                f"these curves rest on an assumed share still under observation: {some(imputed)}."
            )
            doubts.append((ImputedVarianceWarning, message))
    else:
        studies = _from_columns(columns_by_name(data), wanted)
    names = [study.name for study in studies]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInputError(
                f"{name}: two studies of this name. Keep one, or give each reconstruction a label of its own."
            )
    sizes = sorted({study.n_draws for study in studies} - {1})
    if as_patients and len(sizes) > 1:
        raise InvalidInputError(
            f"All studies must have the same number of data sets, as one of each goes into one fit; got {sizes}. Draw "
            "as many from each, or hand over what the ensembles were drawn from."
        )
    return Patients(wanted, tuple(studies), tuple(doubts))


def told_endpoint(*data: object) -> str:
    """The first endpoint that some of the data tell; "OS" where none does."""
    for each in data:
        if isinstance(each, RECONSTRUCTED):
            told = [each.endpoint]
        elif isinstance(each, Sequence):
            told = [getattr(one, "endpoint", "") for one in each]
        else:
            told = list(columns_by_name(each).get("endpoint", ()))
        for word in told:
            if word:
                return str(word)
    return "OS"


def _reconstructed(one: object, i: int, n_draws: int, *, as_patients: bool) -> StudyPatients:
    if not isinstance(one, RECONSTRUCTED):
        raise InvalidInputError(
            "data must hold reconstructed studies alone (PseudoIPD, PseudoEnsemble, FragmentPosterior, SurvivalCurve); "
            f"got {type(one).__name__} among them."
        )
    name = one.label or f"study {i}"
    last, curve, factor = math.inf, None, 1.0
    if isinstance(one, SurvivalCurve):
        last, curve = one.last_months, one
        if not as_patients:
            return StudyPatients(name, np.zeros((1, 0)), np.zeros((1, 0), dtype=np.int64), last, curve)
        one = one.pseudo_ipd()
    if isinstance(one, PseudoIPD):
        factor = units.MONTHS_PER[one.unit]
    if isinstance(one, FragmentPosterior):
        last = one.last_months
    ensemble = one if isinstance(one, PseudoEnsemble) else one.ensemble(n_draws)
    return StudyPatients(
        name,
        factor * np.stack([np.asarray(draw.time, dtype=np.float64) for draw in ensemble.draws]),
        np.stack([np.asarray(draw.event, dtype=np.int64) for draw in ensemble.draws]),
        last,
        curve,
    ).up_to_last()


def _from_columns(columns: Mapping[str, Any], endpoint: Endpoint) -> list[StudyPatients]:
    """Rows of a frame: one a patient."""
    missing = [name for name in _COLUMNS if name not in columns]
    if missing:
        raise InvalidInputError(
            f"Patients need the columns {_format.listing(_COLUMNS)}; {_format.listing(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing from {_format.listing(columns)}."
        )
    names = [study_name(value, i) for i, value in enumerate(columns["study"])]
    labels = [f"{name}, row {i + 1}" for i, name in enumerate(names)]
    check_endpoints(columns.get("endpoint"), endpoint, labels)
    time = _validate.finite_1d(columns["time_months"], "time_months")
    event = _validate.finite_1d(columns["event"], "event")
    for label, values, allowed in (
        ("time_months", time, time >= 0),
        ("event", event, (event == 0) | (event == 1)),
    ):
        if values.size != len(names):
            raise InvalidInputError(
                f"{label} must have one value for each of {len(names)} patients; got {values.size}."
            )
        bad = np.flatnonzero(~allowed)
        if bad.size:
            i = int(bad[0])
            what = "not negative" if label == "time_months" else "1 for an event or 0 for a censoring"
            raise InvalidInputError(f"{labels[i]}: {label} must be {what}; got {values[i]:g}.")
    studies = np.asarray(names, dtype=object)
    return [
        StudyPatients(
            name,
            time[studies == name][None],
            event[studies == name][None].astype(np.int64),
            math.inf,
        )
        for name in dict.fromkeys(names)
    ]


def with_events(patients: Patients, least: int = 1) -> Patients:
    """Studies with so many events at least in every data set; the others are named in a doubt.

    Raises
    ------
    InvalidInputError
        If there is none.
    """
    has = [study.n_total == 0 or int(_events(study).sum(axis=1).min()) >= least for study in patients.studies]
    lost = [study.name for study, kept in zip(patients.studies, has, strict=True) if not kept]
    if not any(has):
        raise InvalidInputError(
            f"{patients.endpoint}: no study has {_format.plural(least, 'event')}, so there is no curve to pool."
        )
    if not lost:
        return patients
    message = (
        f"left out, with fewer than {_format.plural(least, 'event')} in some data set, so that what is pooled of the "
        f"others is too low: {some(lost)}."
    )
    kept = tuple(study for study, keep in zip(patients.studies, has, strict=True) if keep)
    return patients._replace(studies=kept, doubts=(*patients.doubts, (UnusableDataWarning, message)))


def _events(study: StudyPatients) -> npt.NDArray[np.bool_]:
    return study.event > 0


def grid_between(studies: Sequence[StudyPatients], first: float, last: float, most: int) -> FloatArray:
    """Times from the first to the last, closer where events are frequent, whole months where these are close enough.

    Events of a study with many data sets count as one data set.
    """
    times, weights = [], []
    for study in studies:
        inside = _events(study) & (study.time >= first) & (study.time <= last)
        times.append(study.time[inside])
        weights.append(np.full(times[-1].size, 1.0 / study.n_draws))
    time, weight = np.concatenate(times), np.concatenate(weights)
    if time.size == 0 or first >= last:
        return np.unique([first, last])
    order = np.argsort(time, kind="stable")
    share = np.cumsum(weight[order]) / weight.sum()
    passed = 0.5 * (share + (time[order] - first) / (last - first))  # half of it events, half time
    inner = np.interp(np.linspace(0.0, 1.0, most)[1:-1], passed, time[order])
    if last >= 4.0 * most:
        inner = np.round(inner)
    grid = np.unique(np.concatenate([[first], inner[(inner > first) & (inner < last)], [last]]))
    return np.asarray(grid, dtype=np.float64)


def with_asked(grid: FloatArray, asked: FloatArray | None) -> FloatArray:
    """The grid and the times asked for."""
    return grid if asked is None else distinct(np.concatenate([grid, asked]))


def answerable(
    asked: FloatArray | None, first: float, end: float, *, before: str, after: str, where: str
) -> tuple[FloatArray | None, list[Doubt]]:
    """Those of the times asked for that lie on a curve from its first event to its end; doubts name the others.

    Raises
    ------
    InvalidInputError
        If none is left.
    """
    if asked is None:
        return None, []
    early, late = asked < first, asked > end * (1.0 + SAME)
    if (early | late).all():
        raise InvalidInputError(
            f"{where}: times_months must lie between {first:.4g} and {end:.4g} months, since {before} and {after}; got "
            f"{some([f'{t:g}' for t in asked])}."
        )
    doubts: list[Doubt] = [
        (UnusableDataWarning, f"left out, since {why}: {some([f'{t:g}' for t in asked[outside]])} months.")
        for why, outside in ((before, early), (after, late))
        if outside.any()
    ]
    return np.minimum(asked[~(early | late)], end), doubts


def study_curves(studies: Sequence[StudyPatients], times: FloatArray) -> tuple[StudyCurve, ...]:
    """Kaplan-Meier curves of the studies at the times, means over the data sets, as far as they go."""
    found = []
    starts = np.append(0.0, times[:-1])
    for study in studies:
        survival = survival_at(product_limit(study.time, study.event), times).estimate.mean(axis=0)
        known = np.isfinite(survival) & (times <= study.last)
        found.append(
            StudyCurve(
                study.name,
                frozen(times[known]),
                frozen(survival[known]),
                frozen(study.at_risk(starts)[known]),
                float(study.n_total),
                "patients" if study.n_draws == 1 else f"{study.n_draws} data sets",
            )
        )
    return tuple(found)


def informing(studies: Sequence[StudyPatients], times: FloatArray) -> tuple[IntArray, FloatArray]:
    """Studies with patients at risk at each time, and these patients."""
    k, n = np.zeros(times.size, dtype=np.int64), np.zeros(times.size)
    for study in studies:
        there = times <= study.end * (1.0 + SAME)
        k += there
        n += np.where(there, study.at_risk(np.minimum(times, study.end)), 0.0)
    return k, n


def kept(studies: Sequence[StudyPatients]) -> PooledPatients | None:
    """The patients as a result holds them, without a copy; None where every study came as a curve."""
    whole = [study for study in studies if study.n_total]
    for study in whole:
        study.time.setflags(write=False)
        study.event.setflags(write=False)
    if not whole:
        return None
    return PooledPatients(
        tuple(study.name for study in whole),
        tuple(study.time for study in whole),
        tuple(study.event for study in whole),
    )
