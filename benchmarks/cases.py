"""What is timed: for each case its data, the call of netsynth, and the same call of every peer in Python.

A call gives its answer as an array, a row a fit and a column a number, so that answers are compared in the run that
times them; nan stands where a program does not give that number. Peers are imported when a case is measured, so that
those not installed are left out. The calls in R are in ``peers.R`` under the names of the cases.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

import netsynth as ns
from netsynth.kernels.intervals import CI_METHODS, combine, limits
from netsynth.kernels.tau2 import TAU2_ESTIMATORS, Tau2Method

Array = npt.NDArray[np.float64]
Call = Callable[[], Array]

#: Modules of the peers in Python.
PEERS: Mapping[str, str] = {
    "PyMARE": "pymare",
    "PyMetaAnalysis": "meta_analyze",
    "statsmodels": "statsmodels",
}
SEED = 20260101


class Sizes(NamedTuple):
    """How large the cases are; the tests run small ones."""

    n_sets: int = 10_000
    n_looped: int = 200  # sets that a peer without a batch fits one by one
    k_subsets: int = 15
    k_permuted: int = 7
    k_over_time: int = 500


@dataclass(frozen=True)
class Peer:
    """A peer of one case: `make` imports it and gives the call, which does so many fits."""

    make: Callable[[], Call]
    fits: int = 1


@dataclass(frozen=True)
class Case:
    """One thing to time.

    `in_r` names the packages of R that do it, each with the fits of one call, and `data` holds the tables they read.
    `at_least` is how many times as fast as a peer netsynth is to be, `within` the seconds it may take.
    """

    name: str
    title: str
    ours: Call
    fits: int = 1
    peers: Mapping[str, Peer] = field(default_factory=dict)
    in_r: Mapping[str, int] = field(default_factory=dict)
    data: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)
    at_least: Mapping[str, float] = field(default_factory=dict)
    within: float | None = None


def effects(k: int, tau2: float = 0.1) -> tuple[Array, Array]:
    """Effects of k studies around 0.3 and their standard errors, sampling variances from 0.02 to 0.3."""
    rng = np.random.default_rng([SEED, k])
    v = rng.permutation(np.geomspace(0.02, 0.3, k))
    return 0.3 + rng.standard_normal(k) * np.sqrt(v + tau2), np.sqrt(v)


def table(y: Array, se: Array, **more: Array) -> dict[str, dict[str, Array]]:
    """The one table of most cases."""
    return {"studies": {"y": y, "v": se**2, **more}}


def one_fit(_sizes: Sizes) -> Case:
    """REML with the intervals of the mean, of a new study and of tau2, by public calls."""
    y, se = effects(13)

    def ours() -> Array:
        pooled = ns.pool_effects(y, se=se)
        ci, pi, tau2 = pooled.confidence_interval(), pooled.prediction_interval(), pooled.tau2_interval()
        return np.array([[pooled.estimate, *ci, *pi, pooled.tau2, *tau2]])

    def pymare() -> Call:
        from pymare import Dataset
        from pymare.estimators import VarianceBasedLikelihoodEstimator

        def fit() -> Array:
            data = Dataset(y=y, v=se**2, X=np.ones((y.size, 1)), add_intercept=False)
            found = VarianceBasedLikelihoodEstimator(method="REML").fit_dataset(data).summary()
            mean, spread = found.get_fe_stats(), found.get_re_stats()
            tau2 = [float(np.ravel(spread[name])[0]) for name in ("tau^2", "ci_l", "ci_u")]
            return np.array([[float(mean["est"][0, 0]), *[np.nan] * 4, *tau2]])

        return fit

    def py_meta_analysis() -> Call:
        from meta_analyze import meta_analysis

        def fit() -> Array:
            found = meta_analysis(effect=y, standard_error=se, tau2_method="REML")
            tau2 = found.tau2_confidence_interval()
            pi = found.prediction_interval
            return np.array([[found.estimate, np.nan, np.nan, *pi, found.tau2, tau2.ci_low, tau2.ci_high]])

        return fit

    return Case(
        "one_fit",
        "One REML fit with the intervals of the mean, of a new study and of tau2, k = 13",
        ours,
        peers={"PyMARE": Peer(pymare), "PyMetaAnalysis": Peer(py_meta_analysis)},
        in_r={"metafor": 1},
        data=table(y, se),
        within=0.5e-3,
    )


def one_pm(_sizes: Sizes) -> Case:
    """Paule-Mandel with the interval of the mean, which statsmodels has too."""
    y, se = effects(13)

    def ours() -> Array:
        pooled = ns.pool_effects(y, se=se, tau2_method="PM", ci_method="HK")
        return np.array([[pooled.estimate, *pooled.confidence_interval(), pooled.tau2]])

    def statsmodels() -> Call:
        from statsmodels.stats.meta_analysis import combine_effects

        def fit() -> Array:
            found = combine_effects(y, se**2, method_re="pm", use_t=True)
            ci = found.conf_int(use_t=True)[3]  # random effects with the scale estimated, Knapp-Hartung
            return np.array([[found.mean_effect_re, *ci, found.tau2]])

        return fit

    return Case(
        "one_pm",
        "One Paule-Mandel fit with the Knapp-Hartung interval, k = 13",
        ours,
        peers={"statsmodels": Peer(statsmodels)},
        in_r={"metafor": 1},
        data=table(y, se),
    )


def many_sets(n: int, k: int) -> tuple[Array, Array]:
    """Effects and variances of n sets of k studies."""
    rng = np.random.default_rng([SEED, n, k])
    v = np.exp(rng.uniform(np.log(0.02), np.log(0.3), (n, k)))
    return rng.standard_normal((n, k)) * np.sqrt(v + 0.05), v


def bulk(method: Tau2Method, sizes: Sizes) -> Case:
    """Many sets of studies in one call."""
    y, v = many_sets(sizes.n_sets, 10)
    few = min(sizes.n_looped, sizes.n_sets)

    def ours() -> Array:
        tau2 = np.asarray(TAU2_ESTIMATORS[method](y, v).tau2)
        return np.stack([combine(y, v, tau2).mean, tau2], axis=-1)

    def pymare() -> Call:
        from pymare.estimators import DerSimonianLaird, VarianceBasedLikelihoodEstimator

        columns, variances, design = (
            np.ascontiguousarray(y.T),
            np.ascontiguousarray(v.T),
            np.ones((y.shape[1], 1)),
        )

        def fit() -> Array:
            chosen = DerSimonianLaird() if method == "DL" else VarianceBasedLikelihoodEstimator(method=method)
            found = chosen.fit(columns, variances, design).params_
            return np.stack([np.ravel(found["fe_params"]), np.ravel(found["tau2"])], axis=-1)

        return fit

    def statsmodels() -> Call:
        from statsmodels.stats.meta_analysis import combine_effects

        def fit() -> Array:
            found = [combine_effects(y[i], v[i], method_re="pm") for i in range(few)]
            return np.array([[one.mean_effect_re, one.tau2] for one in found])

        return fit

    peers = (
        {"statsmodels": Peer(statsmodels, few)} if method == "PM" else {"PyMARE": Peer(pymare, sizes.n_sets)}
    )
    name = {"REML": "REML", "DL": "DerSimonian-Laird", "PM": "Paule-Mandel"}[method]
    return Case(
        f"bulk_{method.lower()}",
        f"{sizes.n_sets:,} {name} fits at once, k = 10",
        ours,
        fits=sizes.n_sets,
        peers=peers,
        in_r={"metafor": few},
        data={"y": {f"y{j}": y[:few, j] for j in range(10)}, "v": {f"v{j}": v[:few, j] for j in range(10)}},
        at_least={"metafor": 500.0, "PyMARE": 5.0} if method == "REML" else {},
    )


def glmm(_sizes: Sizes) -> Case:
    """Binomial-normal model of proportions."""
    rng = np.random.default_rng([SEED, 20])
    n = rng.integers(20, 200, 20)
    x = rng.binomial(n, 1.0 / (1.0 + np.exp(1.0 - 0.6 * rng.standard_normal(20))))

    def ours() -> Array:
        pooled = ns.pool_proportions(x, n_total=n, model="binomial_normal")
        return np.array([[pooled.estimate, pooled.tau2]])

    return Case(
        "glmm",
        "Binomial-normal model (GLMM) of proportions, k = 20",
        ours,
        in_r={"metafor": 1, "lme4": 1},
        data={"studies": {"x": x.astype(np.float64), "n": n.astype(np.float64)}},
        at_least={"metafor": 20.0, "lme4": 20.0},
    )


def regression(_sizes: Sizes) -> Case:
    """Meta-regression on one moderator."""
    y, se = effects(13)
    x = np.linspace(-1.0, 1.0, 13)

    def ours() -> Array:
        fit = ns.regress_effects(y, se=se, moderators={"x": x})
        return np.array([[*fit.coefficient, *fit.se, fit.tau2]])

    def pymare() -> Call:
        from pymare import meta_regression

        def fit() -> Array:
            found = meta_regression(y, se**2, X=x[:, None], X_names=["x"], method="REML")
            stats, tau2 = found.get_fe_stats(), np.ravel(found.tau2)
            return np.array([[*np.ravel(stats["est"]), *np.ravel(stats["se"]), *tau2]])

        return fit

    def py_meta_analysis() -> Call:
        from meta_analyze import meta_regression

        def fit() -> Array:
            found = meta_regression(effect=y, standard_error=se, moderators={"x": x}, tau2_method="REML")
            # its standard errors are normal ones, those of the others Knapp and Hartung's
            return np.array([[*found.coefficients["estimate"], np.nan, np.nan, found.tau2]])

        return fit

    return Case(
        "regression",
        "Meta-regression on one moderator, REML, k = 13",
        ours,
        peers={"PyMARE": Peer(pymare), "PyMetaAnalysis": Peer(py_meta_analysis)},
        in_r={"metafor": 1},
        data=table(y, se, x=x),
    )


def permutation(sizes: Sizes) -> Case:
    """All permutations of a small meta-regression, so that answers are exact."""
    k = sizes.k_permuted
    y, se = effects(k)
    x = np.arange(k, dtype=np.float64)
    n = int(np.prod(np.arange(1, k + 1)))
    fit = ns.regress_effects(y, se=se, moderators={"x": x}, ci_method="wald")

    def ours() -> Array:
        return np.array([[fit.permutation_test(n_permutations=n).pvalue[1]]])

    def pymare() -> Call:
        from pymare import meta_regression

        found = meta_regression(y, se**2, X=x[:, None], X_names=["x"], method="REML")

        def permute() -> Array:
            return np.array([[np.ravel(found.permutation_test(n_perm=n).perm_p["fe_p"])[1]]])

        return permute

    return Case(
        "permutation",
        f"Permutation test of a meta-regression, REML, k = {k}, all {n:,} permutations",
        ours,
        peers={"PyMARE": Peer(pymare)},
        in_r={"metafor": 1},
        data=table(y, se, x=x),
    )


def without_each(_sizes: Sizes) -> Case:
    """Leave-one-out of a pooled result."""
    y, se = effects(13)
    pooled = ns.pool_effects(y, se=se)

    def ours() -> Array:
        series = ns.leave_one_out(pooled)
        return np.stack([series.estimate, series.tau2], axis=-1)

    def py_meta_analysis() -> Call:
        from meta_analyze import meta_analysis

        found = meta_analysis(effect=y, standard_error=se, tau2_method="REML")

        def refit() -> Array:
            frame = found.leave_one_out().to_dataframe()
            return np.asarray(frame[["estimate", "tau2"]], dtype=np.float64)

        return refit

    return Case(
        "leave_one_out",
        "Leave-one-out, REML, k = 13",
        ours,
        peers={"PyMetaAnalysis": Peer(py_meta_analysis)},
        in_r={"metafor": 1},
        data=table(y, se),
    )


def influences(_sizes: Sizes) -> Case:
    """Diagnostics of influence of a pooled result."""
    y, se = effects(13)
    pooled = ns.pool_effects(y, se=se, ci_method="wald")

    def ours() -> Array:
        found = ns.influence(pooled)
        return np.stack([found.cook_distance, found.dffits, found.tau2_deleted, found.hat], axis=-1)

    return Case(
        "influence",
        "Influence of each study, REML, k = 13",
        ours,
        in_r={"metafor": 1},
        data=table(y, se),
    )


def all_subsets(sizes: Sizes) -> Case:
    """GOSH: the model fitted to every subset."""
    y, se = effects(sizes.k_subsets)
    pooled = ns.pool_effects(y, se=se)
    n = 1 << sizes.k_subsets
    whole = ns.gosh(pooled, n_subsets=n)
    rows = np.flatnonzero(whole.k > 1)
    rows = rows[:: max(1, rows.size // sizes.n_looped)][: sizes.n_looped]  # small and large ones
    members = whole.members[rows].astype(np.float64)

    def ours() -> Array:
        found = ns.gosh(pooled, n_subsets=n)
        return np.stack([found.estimate[rows], found.tau2[rows]], axis=-1)

    return Case(
        "gosh",
        f"REML fits to all {n - 1:,} subsets (GOSH), k = {sizes.k_subsets}",
        ours,
        fits=n - 1,
        in_r={"metafor": rows.size},
        data=table(y, se) | {"members": {f"m{j}": members[:, j] for j in range(members.shape[1])}},
    )


def bivariate(_sizes: Sizes) -> Case:
    """Two correlated outcomes."""
    rng = np.random.default_rng([SEED, 2])
    k = 20
    se = np.sqrt(rng.uniform(0.02, 0.2, (k, 2)))
    between = rng.multivariate_normal([0.0, 0.0], [[0.1, 0.05], [0.05, 0.15]], k)
    within = rng.standard_normal((k, 2)) @ np.linalg.cholesky(np.array([[1.0, 0.4], [0.4, 1.0]])).T
    y = np.array([0.3, 0.6]) + between + within * se

    def ours() -> Array:
        found = ns.pool_multivariate(y, se=se, correlation=0.4)
        return np.array([[*found.estimate, *found.tau2, found.correlation[0, 1]]])

    columns = {"y1": y[:, 0], "y2": y[:, 1], "s1": se[:, 0], "s2": se[:, 1]}
    return Case(
        "bivariate",
        "Two correlated outcomes, REML, k = 20",
        ours,
        in_r={"metafor": 1},
        data={"studies": columns},
    )


def three_level(_sizes: Sizes) -> Case:
    """Several results of the same cohorts."""
    y, se = effects(40, tau2=0.05)
    cluster = np.repeat(np.arange(1, 17), np.tile([1, 2, 3, 4], 4))
    rng = np.random.default_rng([SEED, 3])
    y = y + 0.3 * rng.standard_normal(16)[cluster - 1]

    def ours() -> Array:
        found = ns.pool_dependent(y, se=se, cluster=cluster.tolist(), ci_method="wald")
        return np.array([[found.estimate, found.se, found.between, found.within]])

    return Case(
        "three_level",
        "Three-level model of 40 results of 16 cohorts, REML",
        ours,
        in_r={"metafor": 1},
        data=table(y, se, cluster=cluster.astype(np.float64)),
    )


def small_study_sets() -> tuple[Array, Array]:
    """Effects of 24 studies of which the small ones are large."""
    y, se = effects(24, tau2=0.05)
    return y + 0.5 * (se - 0.3), se


def selection_model(_sizes: Sizes) -> Case:
    """The three-parameter selection model."""
    y, se = small_study_sets()
    pooled = ns.pool_effects(y, se=se, tau2_method="ML")

    def ours() -> Array:
        found = ns.fit_selection_model(pooled)
        return np.array([[found.estimate, found.tau2, found.weight[1]]])

    return Case(
        "selection", "Selection model with one step, k = 24", ours, in_r={"metafor": 1}, data=table(y, se)
    )


def trimmed(_sizes: Sizes) -> Case:
    """Trim-and-fill."""
    y, se = small_study_sets()
    pooled = ns.pool_effects(y, se=se)

    def ours() -> Array:
        found = ns.trim_and_fill(pooled)
        return np.array([[found.n_missing, found.adjusted.estimate, found.adjusted.tau2]])

    def py_meta_analysis() -> Call:
        from meta_analyze import meta_analysis

        pooled = meta_analysis(effect=y, standard_error=se, tau2_method="REML")

        def fill() -> Array:
            found = pooled.trim_and_fill()
            return np.array([[found.k0, found.adjusted_estimate, found.adjusted_tau2]])

        return fill

    return Case(
        "trim_and_fill",
        "Trim-and-fill, REML, k = 24",
        ours,
        peers={"PyMetaAnalysis": Peer(py_meta_analysis)},
        in_r={"metafor": 1},
        data=table(y, se),
    )


def egger(_sizes: Sizes) -> Case:
    """Egger's test."""
    y, se = small_study_sets()
    pooled = ns.pool_effects(y, se=se)

    def ours() -> Array:
        found = ns.assess_asymmetry(pooled)
        return np.array([[found.statistic, found.pvalue]])

    def py_meta_analysis() -> Call:
        from meta_analyze import meta_analysis

        pooled = meta_analysis(effect=y, standard_error=se, tau2_method="REML")

        def test() -> Array:
            found = pooled.egger_test()
            return np.array([[found.statistic, found.pvalue]])

        return test

    return Case(
        "egger",
        "Egger's test, k = 24",
        ours,
        peers={"PyMetaAnalysis": Peer(py_meta_analysis)},
        in_r={"metafor": 1},
        data=table(y, se),
    )


def bayes(_sizes: Sizes) -> Case:
    """The posterior of mean and tau; none of the peers has it without a sampler."""
    y, se = effects(13)

    def ours() -> Array:
        found = ns.pool_bayes(y, se=se, tau_scale=0.5)
        return np.array([[found.estimate]])

    return Case("bayes", "Bayesian random effects, half-normal prior of tau, k = 13", ours)


def hepatocellular() -> dict[str, Array]:
    """Survival at 20 times in 27 studies, the example of metaSurvival and RISCA."""
    references = Path(__file__).parents[1] / "tests" / "references" / "summary_curves.json"
    columns = json.loads(references.read_text(encoding="utf-8"))["data"]["hepatology-all"]
    return {name: np.array(values, dtype=np.float64) for name, values in columns.items()}


def summary_example(_sizes: Sizes) -> Case:
    """The distribution-free summary curve: survival at each time, and Q."""
    columns = hepatocellular()

    def ours() -> Array:
        found = ns.pool_survival(columns, method="summary")
        return np.array([[*found.survival_at_times, found.q]])

    data = {
        "study": columns["study"],
        "time": columns["time_months"],
        "n_risk": columns["n_at_start"],
        "survival": columns["survival"],
    }
    return Case(
        "summary_curve",
        "Summary survival curve, 27 studies at up to 20 times",
        ours,
        in_r={"metaSurvival": 1},
        data={"studies": data},
        at_least={"metaSurvival": 50},
    )


def summary_bootstrap(sizes: Sizes) -> Case:
    """The same from studies drawn anew: limits of survival at each time."""
    pooled = ns.pool_survival(hepatocellular(), method="summary")

    def ours() -> Array:
        return np.array(pooled.bootstrap(max(sizes.n_sets, 100)).confidence_band())

    return Case(
        "summary_bootstrap",
        f"The same curve from studies drawn anew, {sizes.n_sets:,} times",
        ours,
        fits=sizes.n_sets,
        within=60.0,
    )


def over_time(method: Literal["summary", "multivariate"], sizes: Sizes) -> Case:
    """A large review at ten landmarks, read from columns."""
    rng = np.random.default_rng([SEED, sizes.k_over_time])
    k, times = sizes.k_over_time, np.array([3.0, 6, 12, 18, 24, 36, 48, 60, 84, 120])
    rate = np.exp(0.3 * rng.standard_normal((k, 1))) / 60
    survival = np.exp(-rate * times)
    before = np.concatenate([np.ones((k, 1)), survival[:, :-1]], axis=1)
    observed = 0.97 ** np.arange(times.size)  # of those who live, at the start of each interval
    n_at_start = np.maximum(np.round(rng.integers(30, 400, (k, 1)) * before * observed), 1.0)
    columns = {
        "study": np.repeat(np.arange(k), times.size),
        "time_months": np.tile(times, k),
        "survival": survival.ravel(),
        "n_at_start": n_at_start.ravel(),
    }

    def ours() -> Array:
        return ns.pool_survival(columns, method=method).survival(times)[None]

    name = {"summary": "summary curve", "multivariate": "random effects on log(-log S)"}[method]
    return Case(f"over_time_{method}", f"A review of {k} studies at 10 landmarks, {name}", ours, within=2.0)


def all_cases(sizes: Sizes) -> list[Case]:
    """Every case, in the order of the table."""
    return [
        one_fit(sizes),
        one_pm(sizes),
        *(bulk(method, sizes) for method in ("REML", "DL", "PM")),
        glmm(sizes),
        regression(sizes),
        permutation(sizes),
        without_each(sizes),
        influences(sizes),
        all_subsets(sizes),
        bivariate(sizes),
        three_level(sizes),
        selection_model(sizes),
        trimmed(sizes),
        egger(sizes),
        bayes(sizes),
        summary_example(sizes),
        summary_bootstrap(sizes),
        over_time("summary", sizes),
        over_time("multivariate", sizes),
    ]


def coverage(n: int, k: int = 10, tau2: float = 0.05) -> dict[str, float]:
    """Coverage of the intervals for the mean in n simulated reviews of k studies, tau2 by REML."""
    rng = np.random.default_rng([SEED, n, k])
    v = np.exp(rng.uniform(np.log(0.02), np.log(0.3), (n, k)))
    y = rng.standard_normal((n, k)) * np.sqrt(v + tau2)
    found = np.asarray(TAU2_ESTIMATORS["REML"](y, v).tau2)
    covered: dict[str, float] = {}
    for method, error in CI_METHODS.items():
        lower, upper = limits(*error(y, v, found), 0.95)
        covered[method] = float(((lower <= 0.0) & (upper >= 0.0)).mean())
    return covered
