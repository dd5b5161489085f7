"""Survival pooled over time: one curve from what many studies report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy.typing as npt

from netsynth import _validate
from netsynth.curve_methods.asked import Asked, CurveCi, CurveFit, Effects, share
from netsynth.curve_methods.curves import pool_curves
from netsynth.curve_methods.multivariate import pool_loglog
from netsynth.curve_methods.one_stage import pool_cox, pool_stratified
from netsynth.curve_methods.parametric import pool_parametric
from netsynth.curve_methods.patients import PatientFit, Reconstructed, has_patients, read_patients
from netsynth.curve_methods.reports import read_reports
from netsynth.curve_methods.summary import pool_summary
from netsynth.data.endpoint import Endpoint
from netsynth.data.review import Review
from netsynth.data.selection import OverlapRule
from netsynth.data.study import Role
from netsynth.data.survival import ReportedSurvival
from netsynth.errors import Caution, InvalidInputError, caution
from netsynth.kernels.censored_fits import SHAPES, Location
from netsynth.kernels.survival_variance import MATURITY
from netsynth.kernels.time_functions import TimeShape
from netsynth.results.pooled_curve import PooledCurve

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["pool_survival"]

PoolMethod = Literal["summary", "multivariate", "curves", "stratified", "cox", "parametric"]
Data: TypeAlias = (
    "Review | ReportedSurvival | Sequence[ReportedSurvival] | Reconstructed | Sequence[Reconstructed] | "
    "Mapping[str, Any] | pd.DataFrame"
)
#: Each method that takes reports by its name.
METHODS: Final[Mapping[PoolMethod, CurveFit]] = MappingProxyType(
    {"summary": pool_summary, "multivariate": pool_loglog}
)
#: Each method that takes patients, real or reconstructed.
PATIENT_METHODS: Final[Mapping[PoolMethod, PatientFit]] = MappingProxyType(
    {"curves": pool_curves, "stratified": pool_stratified, "cox": pool_cox, "parametric": pool_parametric}
)


def pool_survival(
    data: Data,
    endpoint: str | Endpoint = "OS",
    *,
    method: PoolMethod = "multivariate",
    times_months: npt.ArrayLike | None = None,
    sets: Sequence[str] | None = None,
    roles: Sequence[Role] = ("overall", "arm"),
    overlap: OverlapRule = "largest",
    maturity: float = MATURITY,
    effects: Effects = "random",
    shape: TimeShape = "spline",
    ci_method: CurveCi = "t",
    family: Location = "weibull",
    n_draws: int = 50,
) -> PooledCurve:
    r"""Pool the survival that studies report over time into one curve.

    Parameters
    ----------
    data : Review, reports, reconstructed studies, data frame or mapping
        A review, of which one series a study is chosen as `Review.select_survival` does, the one with most
        landmarks among equals; or one series a study; or columns (any data frame) with a row a study and time:
        `study`, `time_months`, `survival` as a probability, and what is known of `n_total`, `n_at_risk` (at the
        time), `n_at_start` (at the start of the interval that ends there, as RISCA and metaSurvival have it),
        `ci_lower` and `ci_upper` (limits of survival, as probabilities, of level `ci_level`, by default 0.95) and
        `se` (of survival, as a probability, which goes before limits). An `endpoint` must be one throughout. Other
        columns are not read; a name that is near to one of these is warned of.

        For the last four methods: one reconstructed study or a sequence of them, each with a label, as a `PseudoIPD`,
        `PseudoEnsemble` (times in months), `FragmentPosterior` or `SurvivalCurve`; or columns with a row a patient:
        `study`, `time_months`, and `event`, 1 or 0.
    endpoint : str or Endpoint
        Which endpoint. Endpoints are not mixed.
    method : {"multivariate", "summary", "curves", "stratified", "cox", "parametric"}
        "multivariate" is a random-effects model of log(-log S) along time [1]_ [2]_: reported times may differ.
        "summary" is the distribution-free curve [3]_: conditional survivals pooled over common times, which every study
        must report up to its end.

        "curves" pools log(-log S) of each study at each time, with what its reconstruction leaves open in its
        covariance. "stratified" is the average of the studies' Kaplan-Meier curves, weighted by patients, while all
        are at risk; it is no pooled curve. "cox" is Cox's model with normal effects of the studies, "parametric" a
        curve of one `family` whose parameters differ between studies; both give the average over studies.
    times_months : array_like of float, shape (m,), optional
        Times of the summary curve, by default all that any study reports. Of the other curves, times that text and
        frames show: these are estimated on a grid of their own besides, so that median and means do not depend on what
        is asked for; times that a curve from patients does not reach are named and left out. "curves" takes 30 at most
        beside its own 10, from when all studies have had an event to when half of them have ended.
    sets, roles, overlap
        How one series a study is chosen from a review, as in `Review.select_survival`.
    maturity : float
        Share of the survivors still under observation, in (0, 1], where a study prints neither numbers at risk nor
        intervals nor its follow-up.
    effects : {"random", "slope", "common"}
        How the true curves of studies may differ: in every interval for "summary"; by a hazard ratio for
        "multivariate", with "slope" by one that changes along log time; or not at all. By a hazard ratio for "cox", at
        every time for "curves", in both parameters for "parametric".
    shape : {"spline", "linear", "factor"}
        Mean curve of "multivariate": a natural spline of log time, a line in it (Weibull), or a value each time.
    ci_method : {"t", "wald"}
        Confidence intervals by t on studies less 1, or normal ones, as published. Under common effects they are normal.
    family : {"weibull", "exponential", "loglogistic", "lognormal"}
        Of "parametric"; after the last patient its curve goes on to the `times_months` asked for, and is called a tail.
    n_draws : int
        Data sets to draw from each reconstructed study that is not an ensemble, for the last four methods.

    Returns
    -------
    PooledCurve
        Survival, median and restricted mean with confidence and prediction intervals. One study is handed back as
        it is.

    Raises
    ------
    ConvergenceError
        If the multivariate model does not arrive.
    InvalidInputError
        If endpoints are mixed, no study gives a number of patients, a study lacks a time that the method needs, or
        a value cannot be right.

    Warns
    -----
    ImputedVarianceWarning
        If numbers at risk rest on the assumed or estimated maturity.
    InconsistentReportWarning
        If the fitted curve rises, or lies outside all that studies report.
    UnusableDataWarning
        If a study, or a part of its report, could not be used: numbers at risk that are larger than n and survival
        leave, or 0 where survival still falls, what is reported after all have died, or a column with an unknown name.
    FewStudiesWarning
        If there are fewer than 5 studies, or a time has one.

    Notes
    -----
    The number at risk at the start of an interval is the printed one; else the effective number that printed intervals
    tell; else it is imputed as in `pool_landmark`: the last known number, times survival since, times
    :math:`2^{-t / f}` for a study with follow-up f, or `maturity`.

    References
    ----------
    .. [1] Dear KBG (1994). Iterative generalized least squares for meta-analysis of survival data at multiple times.
       Biometrics 50:989-1002.
    .. [2] Arends LR, Hunink MGM, Stijnen T (2008). Meta-analysis of summary survival curve data. Stat Med
       27:4381-4396. https://doi.org/10.1002/sim.3311
    .. [3] Combescure C, Foucher Y, Jackson D (2014). Meta-analysis of single-arm survival studies: a distribution-free
       approach for estimating summary survival curves with random effects. Stat Med 33:2521-2537.
       https://doi.org/10.1002/sim.6111

    Examples
    --------
    >>> import warnings
    >>> from netsynth.errors import FewStudiesWarning
    >>> warnings.simplefilter("ignore", FewStudiesWarning)  # it stays with the result
    >>> reported = {
    ...     "Adams": ([90, 72, 55], [80, 70, 52], 80),
    ...     "Brown": ([85, 60, 41], [120, 98, 66], 120),
    ...     "Chen": ([94, 81, 70], [45, 41, 33], 45),
    ...     "Dow": ([88, 66], [150, 129], 150),
    ... }
    >>> columns = {"study": [], "time_months": [], "survival": [], "n_at_start": []}
    >>> for study, (percent, at_start, n) in reported.items():
    ...     for years, share, number in zip((1, 3, 5), percent, at_start):
    ...         for name, value in zip(columns, (study, 12 * years, share / 100, number)):
    ...             columns[name].append(value)
    >>> pooled = pool_survival(columns, "OS", method="summary")
    >>> lower, upper = pooled.confidence_band(time_months=[60])
    >>> print(f"5-year survival {pooled.survival(60):.0%}, 95% CI {lower[0]:.0%} to {upper[0]:.0%}")
    5-year survival 52%, 95% CI 30% to 70%
    """
    _validate.choice(method, "method", (*METHODS, *PATIENT_METHODS))
    _validate.choice(effects, "effects", ("random", "slope", "common"))
    _validate.choice(shape, "shape", ("factor", "linear", "spline"))
    maturity = share(maturity, "maturity")
    _validate.choice(ci_method, "ci_method", ("t", "wald"))
    times = None if times_months is None else _validate.increasing_1d(times_months, "times_months")
    _validate.choice(family, "family", SHAPES)
    draws = _validate.count(n_draws, "n_draws", minimum=2)
    asked = Asked(times, maturity, effects, shape, ci_method, family)
    _check_data(data, method)
    if method in PATIENT_METHODS:
        if sets is not None:
            raise InvalidInputError("sets are chosen from a Review; got patients. Leave sets out.")
        patients = read_patients(data, endpoint, draws, as_patients=method != "curves")
        answer = PATIENT_METHODS[method](patients, asked)
        where, doubts = f"{patients.endpoint} over time", answer.doubts
    else:
        reports = read_reports(data, endpoint, sets=sets, roles=roles, overlap=overlap)
        answer = METHODS[method](reports, asked)
        where, doubts = f"{reports.endpoint} over time", [*reports.doubts, *answer.doubts]
    told: list[Caution] = []
    for kind, message in doubts:
        told.append(caution(kind, message, where=where))
    return replace(answer.curve, warnings=tuple(told))


def _check_data(data: object, method: PoolMethod) -> None:
    """Refuse patients for a method that takes reports, and reports for one that takes patients."""
    given = has_patients(data)
    if given and method in METHODS:
        takes = " or ".join(map(repr, PATIENT_METHODS))
        raise InvalidInputError(
            f"method={method!r} takes what reports print; got patients or reconstructed studies. Use method={takes}, "
            "which take them."
        )
    if not given and method in PATIENT_METHODS:
        raise InvalidInputError(
            f"method={method!r} takes patients: reconstructed studies (from reconstruct_ipd, reconstruct_survival or "
            "fit_fragments), or a data frame with the columns study, time_months and event. Reconstruct each study "
            "first, or use method='multivariate' or 'summary', which take what reports print."
        )
