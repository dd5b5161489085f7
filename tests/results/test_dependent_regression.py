import json
import math
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import netsynth.dependent
from netsynth.dependent import pool_dependent, regress_dependent
from netsynth.errors import ConvergenceError, FewStudiesWarning, InvalidInputError, NetsynthWarning
from netsynth.regress import regress_effects

REFERENCES = Path(__file__).parents[1] / "references"
DATA = json.loads((REFERENCES / "multilevel.json").read_text(encoding="utf-8"))
FITS = json.loads((REFERENCES / "dependent_regression.json").read_text(encoding="utf-8"))
FIT_IDS = [f"{fit['dataset']}-{fit['rho']}-{fit['formula']}" for fit in FITS]
EFFECTS = [
    (data, fit)
    for data in json.loads((REFERENCES / "robust.json").read_text(encoding="utf-8"))
    for fit in data.get("correlated_effects", [])
    if fit["mods"]
]

Y = [0.62, 0.41, 0.10, 0.35, 0.48, -0.22, 0.95, 0.30, 0.55, 0.71, 0.05, 0.33, 0.80, 0.52]
SE = [0.20, 0.18, 0.15, 0.14, 0.22, 0.25, 0.30, 0.12, 0.21, 0.24, 0.19, 0.16, 0.28, 0.23]
COHORT = ["A", "A", "B", "B", "C", "D", "E", "F", "F", "G", "H", "I", "J", "J"]
ENDPOINT = ["OS", "DFS"] * 2 + ["OS"] * 2 + ["DFS", "OS"] * 2 + ["OS", "DFS"] * 2
YEAR = [2001, 2001, 2004, 2004, 2007, 2009, 2011, 2012, 2012, 2013, 2015, 2016, 2018, 2018]


def quiet(function, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        return function(*args, **kwargs)


def regressed(y=Y, **options):
    options = {
        "se": SE,
        "cluster": COHORT,
        "correlation": 0.6,
        "measure": "log_hr",
        "moderators": {"endpoint": ENDPOINT, "year": YEAR},
    } | options
    return quiet(regress_dependent, y, **options)


def of_reference(fit, **options):
    data = next(each for each in DATA if all(each.get(key) == fit[key] for key in ("dataset", "rho")))
    return quiet(
        regress_dependent,
        data["yi"],
        se=np.sqrt(data["vi"]),
        cluster=data["cluster"],
        correlation=fit["rho"],
        moderators=fit["formula"],
        data={name: fit[name] for name in ("x", "z", "g")},
        **options,
    )


# --- reference ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fit", FITS, ids=FIT_IDS)
def test_reference_coefficients(fit):
    expected, result = fit["CR2"], of_reference(fit)
    assert result.log_likelihood >= fit["ll"] - 1e-11 * (1 + abs(fit["ll"]))
    assert result.log_likelihood == pytest.approx(fit["ll"], rel=1e-9, abs=1e-9)
    # metafor stops at a distance of its own, which all else inherits
    unit = max(fit["sigma2"])
    assert [result.between, result.within] == pytest.approx(fit["sigma2"], rel=1e-5, abs=1e-5 * unit)
    assert (result.coefficient - fit["beta"]) / result.se == pytest.approx(0.0, abs=1e-5)
    assert result.se == pytest.approx(expected["se"], rel=1e-5)
    assert result.df == pytest.approx(expected["df"], rel=1e-5)
    assert result.pvalue == pytest.approx(expected["p"], rel=1e-4)
    assert result.q == pytest.approx(fit["QE"], rel=1e-8)
    half = stats.t.isf(0.025, expected["df"]) * expected["se"]
    low, high = result.confidence_interval()
    assert (high - low) / 2 == pytest.approx(half, rel=1e-4)


@pytest.mark.parametrize("fit", FITS, ids=FIT_IDS)
def test_reference_tests_of_moderators(fit):
    result = of_reference(fit)
    found = [
        (of_reference(fit, ci_method=ci_method).omnibus, fit[ci_method]["naive"])
        for ci_method in ("CR0", "CR1")
    ]
    found.append((result.omnibus, fit["CR2"]["HTZ"]))
    if "HTZ_last" in fit["CR2"]:
        found.append((result.moderator_test(fit["formula"].rpartition(" ")[2]), fit["CR2"]["HTZ_last"]))
    for test, expected in found:
        assert (test.statistic, test.df, test.df_residual, test.pvalue) == pytest.approx(
            (expected["F"], expected["df1"], expected["df2"], expected["p"]), rel=1e-4
        )


@pytest.mark.parametrize("fit", FITS, ids=FIT_IDS)
def test_reference_model_error(fit):
    result = of_reference(fit, ci_method="wald")
    assert result.omnibus.statistic == pytest.approx(fit["QM_model"], rel=1e-4)
    assert np.isinf(result.df).all()
    assert math.isinf(result.omnibus.df_residual)
    t = of_reference(fit, ci_method="t")
    assert t.se == pytest.approx(result.se, rel=1e-12)
    assert t.df.tolist() == [t.n_clusters - t.p] * t.p
    for ci_method in ("CR0", "CR1"):
        assert of_reference(fit, ci_method=ci_method).se == pytest.approx(fit[ci_method]["se"], rel=1e-5)


@pytest.mark.parametrize(("data", "fit"), EFFECTS)
def test_reference_correlated_effects(data, fit):
    result = quiet(
        regress_dependent,
        data["yi"],
        se=np.sqrt(data["vi"]),
        cluster=data["cluster"],
        correlation=fit["rho"],
        moderators={"x": data["x"]},
        model="correlated_effects",
        ci_method="CR2" if fit["small"] else "CR0",
    )
    assert result.between == pytest.approx(fit["tau2"], rel=1e-8, abs=1e-14)
    assert result.coefficient == pytest.approx(fit["beta"], rel=1e-7)
    # without its small-sample correction robumeta multiplies by m / (m - p)
    m = result.n_clusters
    factor = 1.0 if fit["small"] else (m / (m - 2)) ** 0.5
    assert factor * result.se == pytest.approx(fit["se"], rel=1e-7)
    assert result.df == pytest.approx(fit["df"], rel=1e-7)
    assert (result.within, result.method) == (0.0, "moments")
    assert math.isnan(result.log_likelihood)


# --- properties --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ci_method", ["CR2", "CR1", "CR0", "t", "wald"])
@pytest.mark.parametrize("model", ["three_level", "correlated_effects"])
def test_an_intercept_alone_is_the_mean(model, ci_method):
    if model == "correlated_effects" and ci_method in ("t", "wald"):
        pytest.skip("they trust the covariance of a model")
    # a moderator of which nothing is left once the mean is taken out is a column of ones without an intercept
    options = {"model": model, "ci_method": ci_method}
    pooled = quiet(pool_dependent, Y, se=SE, cluster=COHORT, correlation=0.6, measure="log_hr", **options)
    alone = regressed(moderators="~ 0 + one", data={"one": [1.0] * 14}, **options)
    assert alone.names == ("one",)
    assert (alone.coefficient[0], alone.se[0], alone.df[0]) == pytest.approx(
        (pooled.estimate, pooled.se, pooled.df), rel=1e-8
    )
    assert (alone.between, alone.within, alone.q) == pytest.approx(
        (pooled.between, pooled.within, pooled.q), rel=1e-8
    )
    assert alone.log_likelihood == pytest.approx(pooled.log_likelihood, rel=1e-10, nan_ok=True)
    assert alone.omnibus.pvalue == pytest.approx(pooled.pvalue, rel=1e-6)


@pytest.mark.parametrize("ci_method", ["CR2", "t"])
def test_where_a_moderator_is_counted_from_moves_the_intercept_alone(ci_method):
    options = {"ci_method": ci_method}
    here, there = (
        regressed(moderators={"year": np.array(YEAR) - start}, **options) for start in (2010.0, 0.0)
    )
    for name in ("coefficient", "se", "df", "pvalue"):
        assert getattr(there, name)[1] == pytest.approx(getattr(here, name)[1], rel=1e-6)
    assert there.q == pytest.approx(here.q, rel=1e-8)


@pytest.mark.parametrize("ci_method", ["t", "wald"])
def test_one_result_a_cohort_is_a_meta_regression(ci_method):
    several = regressed(cluster=range(14), ci_method=ci_method)
    single = quiet(
        regress_effects,
        Y,
        se=SE,
        moderators={"endpoint": ENDPOINT, "year": YEAR},
        measure="log_hr",
        ci_method=ci_method,
    )
    assert several.names == single.names
    assert several.coefficient == pytest.approx(single.coefficient, rel=1e-6)
    assert several.se == pytest.approx(single.se, rel=1e-6)
    assert several.df.tolist() == [single.df] * 3
    assert several.between == pytest.approx(single.tau2, rel=1e-6, abs=1e-10)
    assert several.q == pytest.approx(single.q, rel=1e-9)
    assert several.omnibus.pvalue == pytest.approx(single.omnibus.pvalue, rel=1e-5)
    assert math.isnan(several.within)


def test_formulas_and_columns_are_the_same():
    frame = {"endpoint": ENDPOINT, "year": YEAR, "unused": [None] * 14}
    formula, columns = regressed(moderators="~ endpoint + year", data=frame), regressed()
    assert formula.coefficient == pytest.approx(columns.coefficient, rel=1e-9)
    assert formula.moderator_test("endpoint").pvalue == pytest.approx(columns.pvalue[1], rel=1e-6)


def test_a_known_covariance_is_used():
    s = np.array(SE)
    together = np.array([[a == b for b in COHORT] for a in COHORT])
    covariance = np.where(together, 0.6 * np.outer(s, s), 0.0)
    np.fill_diagonal(covariance, s**2)
    known = regressed(se=None, correlation=None, covariance=covariance)
    assert math.isnan(known.correlation)
    assert known.coefficient == pytest.approx(regressed().coefficient, rel=1e-9)


# --- what the result answers -------------------------------------------------------------------------------


def test_text():
    assert str(regressed(moderators={"endpoint": ENDPOINT})) == (
        "Hazard ratio (log scale), three-level meta-regression by REML, CI by CR2, k = 14 results of 10 cohorts\n"
        "                  estimate      se  95% CI            df      p\n"
        "  intercept          0.435  0.0635  [0.269, 0.600]   4.8  0.001\n"
        "  endpoint[T.OS]    -0.105   0.109  [-0.376, 0.165]  5.6   0.37\n"
        "  moderators  F 0.94 on 1 and 5.6 df, p = 0.37\n"
        "  residual    variance between cohorts 0, within cohorts 0.0252   Q 23.56 on 12 df, p = 0.023"
    )
    other = str(regressed(model="correlated_effects", ci_method="CR1", measure="generic"))
    assert other.startswith(
        "Effect, correlated effects meta-regression by moments, CI by CR1, k = 14 results"
    )
    assert "within cohorts" not in other
    wald = str(regressed(ci_method="wald"))
    assert "  moderators  chi2 " in wald
    html = regressed()._repr_html_()
    assert html.count("<tr>") == 4
    assert "endpoint[T.OS]" in html


def test_frames_and_the_dictionary():
    result = regressed()
    frame = result.summary_frame(0.9)
    assert frame.index.tolist() == ["intercept", "endpoint[T.OS]", "year"]
    for name, values in (
        ("estimate", result.coefficient),
        ("se", result.se),
        ("df", result.df),
        ("pvalue", result.pvalue),
        ("ci_upper", result.confidence_interval(0.9).upper),
        ("statistic", result.coefficient / result.se),
    ):
        assert frame[name].tolist() == values.tolist()
    row = result.model_frame().loc["log_hr"]
    for name in ("between", "within", "q", "q_pvalue", "log_likelihood", "k", "p", "n_clusters", "model"):
        assert row[name] == getattr(result, name)
    assert row["moderators_pvalue"] == result.omnibus.pvalue
    assert result.q_pvalue == pytest.approx(stats.chi2.sf(result.q, 11), rel=1e-10)
    plain = json.loads(json.dumps(result.to_dict(0.9), allow_nan=False))
    assert plain["coefficients"][1] == {"coefficient": "endpoint[T.OS]", **frame.iloc[1].to_dict()}
    assert plain["cluster"] == COHORT
    assert regressed(ci_method="wald").to_dict()["coefficients"][0]["df"] == "inf"
    for array in (result.coefficient, result.covariance, result.df, result.design, result.study_covariance):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


def test_a_test_of_nothing_is_undefined():
    found = regressed().moderator_test([])
    assert found.names == ()
    assert math.isnan(found.statistic)
    assert str(found) == "undefined"


# --- warnings and refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize("moderators", ["~ rare", "~ 0 + rare", "~ rare + year"])
@pytest.mark.parametrize("ci_method", ["CR2", "CR1", "CR0"])
def test_a_coefficient_of_one_cohort_has_no_robust_error(moderators, ci_method):
    options = {"data": {"rare": ["no"] * 12 + ["yes"] * 2, "year": YEAR}, "moderators": moderators}
    with pytest.warns(FewStudiesWarning) as said:
        result = regress_dependent(Y, se=SE, cluster=COHORT, correlation=0.6, ci_method=ci_method, **options)
    assert [caution.message for caution in result.warnings] == [str(warning.message) for warning in said]
    assert said[0].filename == __file__
    # without an intercept formulaic 1.0 says rare[T.yes], and later versions rare[yes]
    (name,) = (name for name in result.names if name in ("rare[T.yes]", "rare[yes]"))
    assert str(said[0].message) == (
        f"One cohort alone determines {name}, which leaves the {ci_method} interval undefined. Use fewer moderators, "
        "or ci_method='t'."
    )
    here = result.names.index(name)
    assert np.isnan([result.df[here], result.se[here], result.pvalue[here]]).all()
    assert np.isfinite(np.delete(result.se, here)).all()
    assert math.isnan(result.omnibus.statistic)
    assert "undefined" in str(result)
    assert "nan" not in str(result)
    trusting = regressed(ci_method="t", **options)
    assert np.isfinite(trusting.se).all()
    assert np.isfinite(trusting.omnibus.pvalue)


def test_few_degrees_of_freedom_of_some_coefficients_are_warned_of():
    with pytest.warns(FewStudiesWarning) as said:
        result = regress_dependent(
            Y, se=SE, cluster=COHORT, correlation=0.6, moderators={"rare": [0.0] * 11 + [1.0] * 3}
        )
    assert 0 < result.df[1] < 4 <= result.df[0]
    assert [str(warning.message) for warning in said] == [
        f"The CR2 intervals of rare have down to {result.df[1]:.1f} degrees of freedom. Below 4 their level and "
        "p-values cannot be trusted: too few cohorts differ in the moderator, or one outweighs the others."
    ]


def test_few_cohorts_and_single_results_are_warned_of():
    with pytest.warns(FewStudiesWarning) as said:
        regress_dependent(Y[:9], se=SE[:9], cluster=range(9), moderators={"year": YEAR[:9]}, ci_method="t")
    assert [str(warning.message) for warning in said] == [
        "9 cohorts are few: their variances, and every interval but that of CR2, are rough.",
        "No cohort has two results, so the variance between cohorts holds that within cohorts too.",
    ]


REFUSED = [
    (
        {"moderators": {"endpoint": ENDPOINT[1:]}},
        "estimate and moderator 'endpoint' must have the same length; got 14 and 13.",
    ),
    ({"moderators": {}}, "There are no moderators; without any, use pool_dependent."),
    (
        {"moderators": {"x": [1.0] * 14}},
        "Moderator 'x' is 1 in every result and explains nothing. Leave it out.",
    ),
    (
        {"moderators": np.random.default_rng(1).normal(size=(14, 14))},
        "15 coefficients (intercept, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13, x14) need more than 15 "
        "results; got 14. Use fewer moderators.",
    ),
    (
        {"cluster": list("AAAAABBBBBCCCC")},
        "3 coefficients (intercept, endpoint[T.OS], year) need more than 3 cohorts; got 3. Use fewer moderators.",
    ),
    ({"se": None}, "Give either se or covariance; got neither."),
    ({"cluster": COHORT[1:]}, "cluster must have one cohort for each of 14 results; got 13."),
    ({"ci_method": "HK"}, "ci_method must be one of CR2, CR1, CR0, t, wald; got 'HK'."),
]


@pytest.mark.parametrize(("change", "message"), REFUSED, ids=[message[:60] for _, message in REFUSED])
def test_what_is_refused(change, message):
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        regressed(**change)


def test_what_the_result_refuses():
    message = "There is no moderator 'age'; there are intercept, endpoint[T.OS], year, endpoint."
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        regressed().moderator_test("age")
    with pytest.raises(InvalidInputError, match="level must be a fraction"):
        regressed().confidence_interval(95)


def test_a_search_that_does_not_arrive_is_an_error(monkeypatch):
    fit = netsynth.dependent.fit_dependent_regression

    def lost(*args, **kwargs):
        return fit(*args, **kwargs)._replace(converged=np.asarray(False))

    result = regressed()
    monkeypatch.setattr(netsynth.dependent, "fit_dependent_regression", lost)
    message = r"^The three-level model by REML did not converge\.$"
    with pytest.raises(ConvergenceError, match=message) as error:
        regressed()
    assert error.value.last == result.between
