import dataclasses
import json
import math
import re
import warnings
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import netsynth.dependent
import netsynth.results.dependence_sensitivity
from netsynth.dependent import overlap_covariance, pool_dependent
from netsynth.errors import (
    ConvergenceError,
    FewStudiesWarning,
    InvalidInputError,
    NarrowIntervalWarning,
    NetsynthWarning,
)
from netsynth.kernels.dependent import DependentCiMethod
from netsynth.kernels.scales import MEASURES
from netsynth.pool import pool_effects

REFERENCES = Path(__file__).parent / "references"
LIKELIHOODS = json.loads((REFERENCES / "multilevel.json").read_text(encoding="utf-8"))
SANDWICHES = json.loads((REFERENCES / "robust.json").read_text(encoding="utf-8"))
CASES = [
    (one, two, method)
    for one, two in zip(LIKELIHOODS, SANDWICHES, strict=True)
    for method in ("REML", "ML")
    if method in one["fits"]
]
CASE_IDS = [f"{one['dataset']}-{one.get('rho', 'V')}-{method}" for one, _, method in CASES]
EFFECTS = [
    (data, fit) for data in SANDWICHES for fit in data.get("correlated_effects", []) if not fit["mods"]
]

Y = [0.62, 0.41, 0.10, 0.35, 0.48, -0.22, 0.95, 0.30, 0.55, 0.71, 0.05, 0.33, 0.80, 0.52]
SE = [0.20, 0.18, 0.15, 0.14, 0.22, 0.25, 0.30, 0.12, 0.21, 0.24, 0.19, 0.16, 0.28, 0.23]
COHORT = ["A", "A", "B", "B", "C", "D", "E", "F", "F", "G", "H", "I", "J", "J"]


def quiet(function, *args, **kwargs):
    """The verb without its warnings, for tests of numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        return function(*args, **kwargs)


def pooled(**options):
    return quiet(pool_dependent, Y, **({"se": SE, "cluster": COHORT, "correlation": 0.6} | options))


def of_data(data, **options):
    sampling = (
        {"covariance": data["V"]} if "V" in data else {"se": np.sqrt(data["vi"]), "correlation": data["rho"]}
    )
    return quiet(pool_dependent, data["yi"], cluster=data["cluster"], **sampling, **options)


# --- reference ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("likelihood", "sandwich", "method"), CASES, ids=CASE_IDS)
def test_reference_three_level(likelihood, sandwich, method):
    expected, robust = likelihood["fits"][method], sandwich["fits"][method]
    result = of_data(likelihood, method=method)
    unit = max(expected["sigma2"])
    # metafor stops at a distance of its own, which all else inherits
    rel = 1e-5
    assert [result.between, result.within] == pytest.approx(expected["sigma2"], rel=rel, abs=rel * unit)
    assert result.log_likelihood >= expected["ll"] - 1e-11 * (1 + abs(expected["ll"]))
    assert result.log_likelihood == pytest.approx(expected["ll"], rel=1e-9, abs=1e-9)
    half = (robust["metafor"]["ci"][1] - robust["metafor"]["ci"][0]) / 2
    assert result.estimate == pytest.approx(expected["beta"], abs=rel * half)
    assert (result.se, result.df, result.pvalue) == pytest.approx(
        (robust["metafor"]["se"], robust["metafor"]["df"], robust["metafor"]["pval"]), rel=5 * rel
    )
    assert result.confidence_interval() == pytest.approx(robust["metafor"]["ci"], abs=5 * rel * half)
    assert result.prediction_interval() == pytest.approx(
        robust["metafor"]["pi"], abs=5 * rel * abs(robust["metafor"]["pi"][1])
    )
    wald = of_data(likelihood, method=method, ci_method="wald")
    assert wald.se == pytest.approx(expected["se"], rel=rel)
    assert wald.prediction_interval() == pytest.approx(expected["pi"], abs=rel * abs(expected["pi"][1]))
    assert result.q == pytest.approx(expected["QE"], rel=1e-8)
    assert result.q_pvalue == pytest.approx(expected["QEp"], rel=1e-7)
    for component, limits in expected.get("profile", {}).items():
        found = result.between_interval() if component == "between" else result.within_interval()
        assert found == pytest.approx(limits, rel=1e-6, abs=1e-9)
    for test, key in ((result.between_test(), "ll_no_between"), (result.within_test(), "ll_no_within")):
        statistic = 2 * (expected["ll"] - expected[key])
        assert test.statistic == pytest.approx(statistic, abs=1e-8)
        # half of the tail of chi-squared: R's anova() prints the whole tail
        assert test.pvalue == pytest.approx(
            0.5 * stats.chi2.sf(test.statistic, 1) if test.statistic > 0 else 1.0, rel=1e-10
        )


@pytest.mark.parametrize(("likelihood", "sandwich", "method"), CASES, ids=CASE_IDS)
def test_reference_other_intervals(likelihood, sandwich, method):
    result = of_data(likelihood, method=method)
    for ci_method in ("CR0", "CR1", "CR2"):
        expected = sandwich["fits"][method][ci_method]
        other = of_data(likelihood, method=method, ci_method=ci_method)
        assert (other.se, other.pvalue) == pytest.approx((expected["se"], expected["p"]), rel=5e-5)
        assert result.confidence_interval(method=ci_method) == pytest.approx(
            other.confidence_interval(), rel=1e-12
        )


@pytest.mark.parametrize(("data", "fit"), EFFECTS)
def test_reference_correlated_effects(data, fit):
    result = quiet(
        pool_dependent,
        data["yi"],
        se=np.sqrt(data["vi"]),
        cluster=data["cluster"],
        correlation=fit["rho"],
        model="correlated_effects",
        ci_method="CR2" if fit["small"] else "CR1",
    )
    assert (result.between, result.estimate) == pytest.approx((fit["tau2"], fit["beta"]), rel=1e-8, abs=1e-14)
    assert (result.se, result.df, result.pvalue) == pytest.approx((fit["se"], fit["df"], fit["p"]), rel=1e-7)
    assert result.confidence_interval() == pytest.approx(np.ravel(fit["ci"]), rel=1e-7)
    assert (result.within, result.method) == (0.0, "moments")


# --- properties --------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(
    y=st.lists(st.floats(-3, 3), min_size=3, max_size=12).filter(lambda y: np.ptp(y) > 1e-6),
    seed=st.integers(0, 10**6),
)
def test_one_result_a_cohort_is_pool_effects(y, seed):
    se = np.exp(np.random.default_rng(seed).uniform(-2, 0.5, len(y)))
    several = quiet(pool_dependent, y, se=se, cluster=range(len(y)), ci_method="wald", correlation=0.7)
    single = quiet(pool_effects, y, se=se, ci_method="wald")
    assert several.between == pytest.approx(single.tau2, rel=1e-6, abs=1e-9 * se.min() ** 2)
    assert (several.estimate, several.se) == pytest.approx((single.estimate, single.se), rel=1e-6, abs=1e-9)
    assert (several.q, several.i2) == pytest.approx((single.q, single.i2_tau2), rel=1e-6, abs=1e-9)
    assert several.weight == pytest.approx(single.weight, rel=1e-6)
    assert several.confidence_interval(method="t") == pytest.approx(
        single.confidence_interval(method="t"), rel=1e-6, abs=1e-9
    )
    assert np.isnan(
        [several.within, several.i2_within, *several.within_interval(), *several.within_test()]
    ).all()


def test_a_result_given_twice_with_full_correlation_nearly_counts_once():
    once = quiet(pool_dependent, [0.1, 0.5, 0.9], se=[0.1, 0.2, 0.15], cluster=list("ABC"), ci_method="wald")
    twice = quiet(
        pool_dependent,
        [0.1, 0.1, 0.5, 0.9],
        se=[0.1, 0.1, 0.2, 0.15],
        cluster=list("AABC"),
        correlation=1 - 1e-9,
        ci_method="wald",
    )
    assert twice.estimate == pytest.approx(once.estimate, rel=1e-5)
    assert twice.se == pytest.approx(once.se, rel=1e-5)


def test_a_covariance_with_that_correlation_is_the_same():
    s = np.array(SE)
    together = np.array([[a == b for b in COHORT] for a in COHORT])
    covariance = np.where(together, 0.6 * np.outer(s, s), 0.0)
    np.fill_diagonal(covariance, s**2)
    known, assumed = pooled(se=None, correlation=None, covariance=covariance), pooled()
    assert math.isnan(known.correlation)
    for name in ("estimate", "se", "df", "between", "within", "log_likelihood", "q"):
        assert getattr(known, name) == pytest.approx(getattr(assumed, name), rel=1e-9)


def test_cohorts_may_be_numbers_and_their_results_in_any_order():
    order = np.random.default_rng(3).permutation(14)
    numbers = [ord(name) for name in COHORT]
    shuffled = quiet(
        pool_dependent,
        np.array(Y)[order],
        se=np.array(SE)[order],
        cluster=np.array(numbers)[order],
        correlation=0.6,
    )
    assert shuffled.cluster[0] == str(numbers[order[0]])
    for name in ("estimate", "se", "df", "between", "within"):
        assert getattr(shuffled, name) == pytest.approx(getattr(pooled(), name), rel=1e-8)
    assert shuffled.weight == pytest.approx(pooled().weight[order], rel=1e-8)


# --- what the result answers -------------------------------------------------------------------------------


def test_text():
    assert str(pooled(measure="log_hr", study=[f"R{i}" for i in range(14)])) == (
        "Hazard ratio, three-level model by REML, CI by CR2, k = 14 results of 10 cohorts\n"
        "  estimate  1.45   95% CI [1.22, 1.72] on 7.7 df   95% PI [0.96, 2.19]\n"
        "  variance between cohorts 0.00743   95% CI [0, 0.176]   I2 15%   LR test p = 0.43\n"
        "  variance within cohorts 0.0184   95% CI [0, 0.121]   I2 36%   LR test p = 0.080\n"
        "  I2 51%   Q 25.89 on 13 df, p = 0.018   sampling errors in a cohort assumed correlated 0.6"
    )
    other = str(pooled(model="correlated_effects", measure="logit_survival", ci_method="CR0"))
    assert other.splitlines()[0] == (
        "Survival (logit scale), correlated effects by moments, CI by CR0, k = 14 results of 10 cohorts"
    )
    assert (
        other.splitlines()[2]
        == f"  variance between cohorts {pooled(model='correlated_effects').between:.4f}"
    )
    assert str(pooled(measure="log_rate")).startswith("Rate (log scale), three-level model")
    wald = str(pooled(ci_method="wald", correlation=None, se=None, covariance=np.diag(np.square(SE))))
    assert " df   95% PI" not in wald
    assert wald.endswith("sampling covariance given")


def test_shares_of_variation():
    result = pooled()
    assert result.i2 == pytest.approx(result.i2_between + result.i2_within)
    # sampling variance of correlated results by projection
    w = np.linalg.inv(result.study_covariance)
    p = w - np.outer(w.sum(0), w.sum(0)) / w.sum()
    typical = 13 / np.trace(p)
    assert result.i2_between == pytest.approx(result.between / (result.between + result.within + typical))


def test_intervals_at_another_level_are_nested():
    result = pooled(correlation=0.3)
    for ask in (
        result.confidence_interval,
        result.prediction_interval,
        result.between_interval,
        result.within_interval,
    ):
        (a, b), (c, d) = ask(0.8), ask(0.99)
        assert c <= a <= b <= d
        assert (c, d) != (a, b)


@pytest.mark.parametrize("measure", MEASURES)
def test_natural_limits_are_sorted_and_back_transformed(measure):
    on_scale, back = MEASURES[measure].to_scale([0.5, 0.62, 0.55, 0.58]), MEASURES[measure].from_scale
    result = quiet(
        pool_dependent,
        on_scale,
        se=[0.1, 0.05, 0.07, 0.06],
        cluster=list("ABBC"),
        measure=measure,
        ci_method="t",
    )
    for natural, scale in (
        (result.natural_interval(), result.confidence_interval()),
        (result.natural_prediction_interval(), result.prediction_interval()),
    ):
        assert natural == tuple(sorted(back(np.array(scale)).tolist()))
    assert result.natural_interval().lower < result.natural < result.natural_interval().upper
    each = result.natural_study_interval()
    assert np.all(each.lower < each.upper)
    assert np.isnan(result.pvalue) == np.isnan(MEASURES[measure].null)


def test_a_tiny_p_is_a_number():
    far = quiet(pool_dependent, np.array(Y) + 1.5, se=SE, cluster=COHORT, ci_method="wald")
    assert 1e-300 < far.pvalue < 1e-50


def test_frames_and_the_dictionary():
    result = pooled(measure="log_hr", study=[f"R{i}" for i in range(14)])
    row = result.summary_frame(0.9).loc["log_hr"]
    for pair, ask in (
        ("ci", result.confidence_interval),
        ("pi", result.prediction_interval),
        ("natural", result.natural_interval),
        ("between", result.between_interval),
        ("within", result.within_interval),
    ):
        assert (row[f"{pair}_lower"], row[f"{pair}_upper"]) == ask(0.9)
    for name in (
        "estimate",
        "se",
        "df",
        "between",
        "within",
        "i2",
        "q",
        "k",
        "n_clusters",
        "model",
        "ci_method",
    ):
        assert row[name] == getattr(result, name)
    studies = result.study_frame(0.9)
    assert studies.index.tolist() == list(result.study)
    assert studies["cluster"].tolist() == COHORT
    assert studies["weight"].sum() == pytest.approx(1.0)
    assert studies["ci_upper"].tolist() == pytest.approx(np.array(Y) + 1.6448536269514722 * np.array(SE))
    plain = json.loads(json.dumps(result.to_dict(0.9), allow_nan=False))
    assert plain["ci_upper"] == row["ci_upper"]
    assert plain["results"][3] == {
        "study": "R3",
        "cluster": "B",
        "estimate": 0.35,
        "se": pytest.approx(0.14),
        "weight": result.weight[3],
    }
    wald = pooled(ci_method="wald", se=None, correlation=None, covariance=np.diag(np.square(SE))).to_dict()
    assert wald["df"] == "inf"
    assert wald["correlation"] is None


def test_a_notebook_shows_every_result_and_escapes_its_name():
    html = pooled(study=[f"<{i}>" for i in range(14)])._repr_html_()
    assert html.count("<tr>") == 16
    assert "&lt;3&gt;" in html
    assert "Pooled" in html


def test_the_result_is_frozen_and_its_arrays_cannot_be_written():
    result = pooled()
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.estimate = 0.0
    for array in (
        result.study_estimate,
        result.study_covariance,
        result.weight,
        result.over_correlation([0]).se,
    ):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


# --- sensitivity to the correlation ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{}, {"method": "ML"}, {"model": "correlated_effects"}, {"ci_method": "t"}]
)
def test_sensitivity_is_the_same_pool_with_another_correlation(options):
    values = [0.0, 0.3, 0.9, -0.2]
    sensitivity = pooled(measure="log_hr", **options).over_correlation(values)
    assert sensitivity.correlation.tolist() == values
    for i, value in enumerate(values):
        other = pooled(measure="log_hr", **(options | {"correlation": value}))
        for name in ("estimate", "se", "df", "between", "within", "natural"):
            assert getattr(sensitivity, name)[i] == pytest.approx(getattr(other, name), rel=1e-9)
        limits = sensitivity.confidence_interval(0.9)
        assert (limits.lower[i], limits.upper[i]) == pytest.approx(other.confidence_interval(0.9))
    frame = sensitivity.summary_frame(0.9)
    assert frame.index.tolist() == values
    assert frame["ci_upper"].tolist() == pytest.approx(limits.upper)
    plain = json.loads(json.dumps(sensitivity.to_dict(), allow_nan=False))
    assert [row["correlation"] for row in plain["correlations"]] == values
    assert plain["correlations"][1]["between"] == sensitivity.between[1]


def test_sensitivity_in_words():
    sensitivity = pooled(measure="log_hr").over_correlation()
    assert sensitivity.correlation.tolist() == pytest.approx(np.arange(20) / 20)
    assert str(sensitivity) == (
        "Hazard ratio, three-level model by REML, CI by CR2, correlation 0 to 0.95, k = 14 results of 10 cohorts\n"
        "  estimate  1.45 to 1.46   95% CI, lower limit 1.22 to 1.23, upper limit 1.72 to 1.75\n"
        "  variance between cohorts 0 to 0.0250, within cohorts 0.00441 to 0.0273"
    )
    assert sensitivity._repr_html_().count("<tr>") == 21
    assert "within" not in str(pooled(model="correlated_effects").over_correlation())
    warned = quiet(pool_dependent, [0.1, 0.4, 0.2], se=[0.1, 0.1, 0.1], cluster=list("AAB"))
    assert str(warned.over_correlation()).splitlines()[3:] == [f"  {caution}" for caution in warned.warnings]


# --- overlapping studies -----------------------------------------------------------------------------------


def test_shared_patients_make_the_correlation_of_two_means():
    # two means of standard normals over 30 and 50 patients, 20 of them the same, by simulation
    rng = np.random.default_rng(7)
    shared, first, second = (rng.standard_normal((40000, n)).sum(1) for n in (20, 10, 30))
    a, b = (shared + first) / 30, (shared + second) / 50
    overlap = overlap_covariance(
        [30**-0.5, 50**-0.5], n_total=[30, 50], n_shared={("A", "B"): 20}, study=["A", "B"]
    )
    assert overlap.covariance[0, 1] == pytest.approx(20 / (30 * 50), rel=1e-12)
    assert np.cov(a, b)[0, 1] == pytest.approx(overlap.covariance[0, 1], rel=0.05)  # 3 standard errors


def test_studies_linked_by_shared_patients_are_one_cohort():
    overlap = overlap_covariance(
        [0.1] * 6,
        n_total=[100] * 6,
        n_shared={("E", "B"): 10, ("D", "E"): 5, ("C", "A"): 20, ("A", "F"): 0},
        study=list("ABCDEF"),
        correlation=0.5,
    )
    assert overlap.cluster == ("A", "B", "A", "B", "B", "F")
    assert overlap.covariance[2, 0] == pytest.approx(0.5 * 0.2 * 0.01)
    assert overlap.covariance[0, 5] == 0.0
    result = quiet(
        pool_dependent, [0.1, 0.3, 0.2, 0.5, 0.4, 0.0], covariance=overlap.covariance, cluster=overlap.cluster
    )
    assert result.n_clusters == 3
    with pytest.raises(ValueError, match="read-only"):
        overlap.covariance[0, 0] = 1.0


OVERLAP = {"se": [0.1, 0.2], "n_total": [100, 50], "n_shared": {("A", "B"): 10}, "study": ["A", "B"]}
WRONG_OVERLAPS = [
    ({"n_shared": {("A", "C"): 1}}, "n_shared must be one of A, B; got 'C'."),
    ({"n_shared": {("A", "A"): 1}}, "n_shared needs two different studies; got A twice."),
    ({"n_shared": {("A", "B"): 60}}, "A and B: n_shared cannot exceed either study; got 60 of 100 and 50."),
    ({"n_shared": {("A", "B"): -1}}, "A and B: n_shared must be a whole number of at least 0; got -1."),
    ({"study": ["A", "A"]}, "study must name each study once; A is there twice."),
    ({"n_total": [100, 0]}, "B: n_total must be a whole number of at least 1; got 0."),
    ({"n_total": [100]}, "se and n_total must have the same length; got 2 and 1."),
    ({"se": [0.1, -0.2]}, "B: se must be positive; got -0.2 at position 1."),
    ({"correlation": 1.5}, "correlation must lie above 0 and not above 1; got 1.5."),
    (
        {"n_total": [50, 50], "n_shared": {("A", "B"): 50}},
        "A: the covariance of its 2 results is not positive definite; the smallest eigenvalue of the correlations is "
        "0. Check it, and give results that are the same only once.",
    ),
]


@pytest.mark.parametrize(
    ("change", "message"), WRONG_OVERLAPS, ids=[message for _, message in WRONG_OVERLAPS]
)
def test_a_wrong_overlap_is_refused(change, message):
    options = OVERLAP | change
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        overlap_covariance(options.pop("se"), **options)


# --- warnings and refusals ---------------------------------------------------------------------------------


def test_few_cohorts_are_warned_of():
    message = "3 cohorts are few: their variances, and every interval but that of CR2, are rough."
    with pytest.warns(FewStudiesWarning, match=f"^{re.escape(message)}$") as said:
        result = pool_dependent([0.1, 0.4, 0.2, 0.3], se=[0.1] * 4, cluster=list("AABC"), ci_method="t")
    assert [caution.message for caution in result.warnings] == [message]
    assert said[0].filename == __file__
    assert str(result).endswith(f"FewStudiesWarning: {message}")


def test_few_degrees_of_freedom_are_warned_of():
    with pytest.warns(FewStudiesWarning) as said:
        result = pool_dependent([0.1, 0.4, 0.2, 0.3], se=[0.1] * 4, cluster=list("AABC"))
    assert [str(warning.message) for warning in said] == [
        f"The CR2 interval has {result.df:.1f} degrees of freedom. Below 4 its level and p-value cannot be trusted: "
        "there are too few cohorts, or one outweighs the others."
    ]


def test_ten_cohorts_are_not_warned_of():
    assert pool_dependent(Y, se=SE, cluster=COHORT).warnings == ()


def test_single_results_are_warned_of():
    with pytest.warns(FewStudiesWarning) as said:
        pool_dependent([0.1, 0.4, 0.2] * 4, se=[0.1] * 12, cluster=range(12))
    assert [str(warning.message) for warning in said] == [
        "No cohort has two results, so the variance between cohorts holds that within cohorts too."
    ]


def test_equal_effects_are_warned_of():
    with pytest.warns(NarrowIntervalWarning) as said:
        result = pool_dependent([0.3] * 14, se=SE, cluster=COHORT)
    assert [str(warning.message) for warning in said] == [
        "All effects are equal, so the CR2 interval is undefined. Use ci_method='t'."
    ]
    assert "95% CI undefined" in str(result)
    assert result.estimate == pytest.approx(0.3, rel=1e-14)
    assert np.isfinite(result.confidence_interval(method="t")).all()


def singular():
    v = np.diag(np.square(SE))
    v[2, 3] = v[3, 2] = SE[2] * SE[3] * 1.2
    return v


def changed(i, j, value, mirrored=True):
    v = np.diag(np.square(SE))
    v[i, j] = value
    if mirrored:
        v[j, i] = value
    return v


KNOWN = {"se": None, "correlation": None}
REFUSED = [
    ({"se": None}, "Give either se or covariance; got neither."),
    ({"covariance": np.eye(14)}, "Give either se or covariance; got both."),
    ({"se": SE[1:]}, "estimate and se must have the same length; got 14 and 13."),
    (
        {"se": [*SE[:-1], 0.0], "study": [f"R{i}" for i in range(14)]},
        "R13: se must be positive; got 0 at position 13.",
    ),
    (
        {"se": [*SE[:-1], 1e9]},
        "Standard errors span too many orders of magnitude to be pooled: 0.12 (Study 8) to 1e+09 "
        "(Study 14). Check the units.",
    ),
    ({"cluster": COHORT[1:]}, "cluster must have one cohort for each of 14 results; got 13."),
    ({"cluster": "A"}, "cluster must have one cohort for each of 14 results; got 1."),
    ({"cluster": [*COHORT[1:], " "]}, "cluster must be a non-empty text; got ' '."),
    ({"cluster": ["A"] * 14}, "Pooling needs at least two cohorts; all of the 14 results are of A."),
    ({"correlation": 1.0}, "A: its 2 results can be correlated above -1 and below 1; got 1."),
    (
        {"correlation": -0.6, "cluster": ["Z", "Z", "Z", *COHORT[3:]]},
        "Z: its 3 results can be correlated above -0.5 and below 1; got -0.6.",
    ),
    ({"correlation": float("nan")}, "A: its 2 results can be correlated above -1 and below 1; got nan."),
    ({"measure": "log_or"}, f"measure must be one of {', '.join(MEASURES)}; got 'log_or'."),
    ({"model": "multilevel"}, "model must be one of three_level, correlated_effects; got 'multilevel'."),
    ({"method": "DL"}, "method must be one of REML, ML; got 'DL'."),
    ({"ci_method": "HK"}, "ci_method must be one of CR2, CR1, CR0, t, wald; got 'HK'."),
    (
        {"ci_method": "t", "model": "correlated_effects"},
        "ci_method 't' trusts the covariance of a model, which correlated effects do without. Use "
        "CR2, CR1 or CR0.",
    ),
    (
        {**KNOWN, "covariance": np.eye(14), "correlation": 0.5},
        "correlation goes with se; a covariance holds its own. Give one of them.",
    ),
    (
        {**KNOWN, "covariance": np.eye(14), "model": "correlated_effects"},
        "Correlated effects take se and an assumed correlation, not a covariance.",
    ),
    ({**KNOWN, "covariance": "high"}, "covariance must be numbers; got 'high'."),
    (
        {**KNOWN, "covariance": np.eye(13)},
        "covariance must have a row and a column for each of 14 results; got shape (13, 13).",
    ),
    (
        {**KNOWN, "covariance": changed(2, 3, np.nan)},
        "covariance must be finite; got nan for Study 3 and Study 4.",
    ),
    ({**KNOWN, "covariance": changed(4, 4, 0.0)}, "Study 5: variance must be positive; got 0 at position 4."),
    (
        {**KNOWN, "covariance": changed(2, 3, 0.01, mirrored=False)},
        "covariance must be symmetric; got 0.01 for Study 3 with Study 4 and 0 the other way round.",
    ),
    (
        {**KNOWN, "covariance": changed(1, 2, 0.01)},
        "Results of different cohorts are independent; got covariance 0.01 for Study 2 of A and Study "
        "3 of B. Give cohorts that share patients one name.",
    ),
    (
        {**KNOWN, "covariance": singular()},
        "B: the covariance of its 2 results is not positive definite; the smallest eigenvalue of the "
        "correlations is -0.2. Check it, and give results that are the same only once.",
    ),
]


@pytest.mark.parametrize(("change", "message"), REFUSED, ids=[message[:70] for _, message in REFUSED])
def test_what_is_refused(change, message):
    options = {"se": SE, "cluster": COHORT, "correlation": 0.6} | change
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        pool_dependent(Y, **options)


def test_effects_must_be_finite():
    message = "Study 2: estimate must be finite; got nan at position 1."
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        pool_dependent([0.1, np.nan], se=[0.1, 0.1], cluster=list("AB"))


def test_what_the_result_refuses():
    message = "method must be one of CR2, CR1, CR0, t, wald; got 'HK'."
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        pooled().confidence_interval(method="HK")
    message = (
        "method 'wald' trusts the covariance of a model, which correlated effects do without. "
        "Use CR2, CR1 or CR0."
    )
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        pooled(model="correlated_effects").confidence_interval(method="wald")
    message = "A: its 2 results can be correlated above -1 and below 1; got 1.5."
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        pooled().over_correlation([0.5, 1.5])
    message = "The covariance was given, so no correlation was assumed. Pool with se to vary it."
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        pooled(se=None, correlation=None, covariance=np.diag(np.square(SE))).over_correlation()
    with pytest.raises(InvalidInputError, match="level must be a fraction"):
        pooled().between_interval(95)


def test_a_search_that_does_not_arrive_is_an_error(monkeypatch):
    result = pooled()
    fit = netsynth.dependent.fit_dependent

    def lost(*args, **kwargs):
        return fit(*args, **kwargs)._replace(converged=False)

    monkeypatch.setattr(netsynth.dependent, "fit_dependent", lost)
    with pytest.raises(
        ConvergenceError, match=r"^The three-level model by REML did not converge\.$"
    ) as error:
        pooled()
    assert error.value.last == result.between
    monkeypatch.setattr(netsynth.results.dependence_sensitivity.dependent, "fit_dependent", lost)
    with pytest.raises(
        ConvergenceError, match=r"^The three-level model by REML did not converge at correlation 0\.5\.$"
    ):
        result.over_correlation([0.5])


def test_every_interval_is_tested_here():
    assert set(get_args(DependentCiMethod)) == {"CR0", "CR1", "CR2", "t", "wald"}
