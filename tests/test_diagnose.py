import dataclasses
import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsynth.diagnose import accumulate, influence, leave_one_out
from netsynth.errors import (
    ConvergenceError,
    FewStudiesWarning,
    InvalidInputError,
    NarrowIntervalWarning,
    NetsynthWarning,
)
from netsynth.kernels import tau2 as tau2_kernels
from netsynth.kernels.tau2 import TAU2_ESTIMATORS, Tau2Estimate
from netsynth.pool import pool_effects

REFERENCES = Path(__file__).parent / "references"
REFERENCE = json.loads((REFERENCES / "influence.json").read_text(encoding="utf-8"))["influence"]
METAFOR = {"EE": "CE", "z": "wald", "knha": "HK"}
STUDIES = ["Adams 2001", "Brown 2005", "Chen 2010", "Dow 2012", "Evans 2016"]
LOG_HR, SE = np.array([-0.51, -0.32, -0.33, -0.45, 0.10]), np.array([0.18, 0.10, 0.15, 0.22, 0.20])


def quiet(function, *args, **kwargs):
    """The verb without its warnings, for tests of numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        return function(*args, **kwargs)


def pool(y=LOG_HR, se=SE, **options):
    options = {"measure": "log_hr", "ci_method": "HK", **options}
    study = options.pop("study", STUDIES if len(y) == 5 else None)
    return quiet(pool_effects, y, se=se, study=study, **options)


def refused(call, message):
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        call()


# --- reference ---------------------------------------------------------------------------------------------


def compare(series, expected, method, test):
    """Every field of metafor; a single study has nan where metafor has tau2 = 0, Q p = 1 and I2 = 0."""
    rel = 1e-6 if method == "REML" else 1e-8
    frame, several = series.summary_frame(), series.k > 1
    fields = {
        "estimate": "estimate",
        "se": "se",
        "zval" if test == "z" else "tval": "statistic",
        "pval": "pvalue",
        "ci.lb": "ci_lower",
        "ci.ub": "ci_upper",
        "Q": "q",
        "Qp": "q_pvalue",
        "tau2": "tau2",
        "I2": "i2_tau2" if method != "CE" else "i2",
        "H2": "h2_tau2" if method != "CE" else "h2",
    }
    assert set(expected) <= set(fields)
    for theirs in expected:
        ours, wanted = frame[fields[theirs]].to_numpy(), np.array(expected[theirs], dtype=float)
        kept = several if theirs in ("Qp", "tau2", "I2", "H2") else np.ones_like(several)
        assert np.isnan(ours[~kept]).all()
        ours, wanted = ours[kept], wanted[kept] / (100 if theirs == "I2" else 1)
        if theirs == "H2" and method == "CE":
            wanted = np.maximum(wanted, ours.clip(max=1))  # ours goes below 1
        # the tail magnifies a relative change of the statistic by its square
        tail = 1 + frame["statistic"].to_numpy()[kept] ** 2 if theirs == "pval" else 1.0
        scale = np.abs(wanted).max() if theirs.startswith("ci") else 0.0
        assert np.all(np.abs(ours - wanted) <= 10 * rel * tail * np.abs(wanted) + 1e-9 * scale + 1e-10), (
            theirs
        )


@pytest.mark.parametrize("case", REFERENCE, ids=lambda case: case["id"])
def test_reference_series(case):
    y, v = (np.array(case["input"][name]) for name in ("yi", "vi"))
    method, test = case["options"]["method"], case["options"]["test"]
    method = METAFOR.get(method, method)
    pooled = quiet(pool_effects, y, se=np.sqrt(v), tau2_method=method, ci_method=METAFOR[test])
    output = case["output"]
    compare(quiet(leave_one_out, pooled), output["leave1out"], method, test)
    compare(quiet(accumulate, pooled), output["cumul_given_order"], method, test)
    compare(quiet(accumulate, pooled, order="precision"), output["cumul_by_increasing_vi"], method, test)
    found = quiet(influence, pooled)
    assert found.influential.tolist() == output["is_infl"]
    np.testing.assert_allclose(found.studentized, output["rstudent"]["z"], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.standardized, output["rstandard"]["z"], rtol=1e-6, atol=1e-9)


# --- leave one out -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", TAU2_ESTIMATORS)
def test_a_step_is_the_pooled_result_without_the_study(method):
    series = leave_one_out(pool(tau2_method=method, prediction_method="t_km1"))
    assert series.study == tuple(STUDIES)
    for i in range(5):
        keep = np.arange(5) != i
        alone = pool(LOG_HR[keep], SE[keep], tau2_method=method, prediction_method="t_km1")
        row = series.summary_frame(0.9).iloc[i]
        expected = alone.summary_frame(0.9).iloc[0]
        for name in row.index.intersection(expected.index):
            if not isinstance(expected[name], str):
                assert row[name] == pytest.approx(expected[name], rel=1e-8, abs=1e-12, nan_ok=True), name
        assert row["i2_tau2"] == pytest.approx(alone.i2_tau2, rel=1e-8, abs=1e-12)
        assert row["h2"] == pytest.approx(alone.h2, rel=1e-8)
        for ask in ("confidence_interval", "prediction_interval"):
            for kind in ("wald", "mHK") if ask == "confidence_interval" else ("HK_km1", "normal"):
                ends = getattr(series, ask)(0.8, method=kind)
                wanted = getattr(alone, ask)(0.8, method=kind)
                assert (ends.lower[i], ends.upper[i]) == pytest.approx(wanted, rel=1e-8, nan_ok=True)


def test_the_text_says_which_study_the_conclusion_hangs_on():
    y, w = np.array([-0.5, -0.4, -0.6, -0.45, -0.35]), np.array([0.3, 0.3, 0.3, 0.08, 0.3]) ** -2.0
    for shift, turned in ((0.0, ()), (0.28, ("Dow 2012",))):
        pooled = pool(y + shift, w**-0.5, ci_method="wald", tau2_method="CE")
        totals = [(w @ (y + shift) - w[i] * (y[i] + shift), w.sum() - w[i]) for i in range(5)]
        includes = [total / weight**0.5 > -1.959963984540054 for total, weight in totals]
        assert tuple(study for study, given in zip(STUDIES, includes, strict=True) if given) == turned
        mean, without = w @ (y + shift) / w.sum(), np.array([total / weight for total, weight in totals])
        assert mean * w.sum() ** 0.5 < -1.959963984540054
        if turned:
            verdict = ", but includes it without Dow 2012: the conclusion hangs on one study."
        else:
            verdict = " whichever study is left out."
        i = int(np.abs(without - mean).argmax())
        series = leave_one_out(pooled)
        assert series.changes() == turned
        assert series.conclusion() == (
            f"The 95% CI excludes 1 (no effect){verdict} The estimates lie between {np.exp(without.min()):.2f} and "
            f"{np.exp(without.max()):.2f}; leaving out {STUDIES[i]} moves it most, from {np.exp(mean):.2f} to "
            f"{np.exp(without[i]):.2f}."
        )


def test_the_text_of_several_studies_and_of_another_side():
    pooled = pool([0.1, 0.2, -0.3, 0.25, -0.4], [0.2, 0.2, 0.1, 0.2, 0.1])
    series = leave_one_out(pooled)
    y, direction = pooled.study_estimate, np.sign(series.estimate) != np.sign(pooled.estimate)
    assert "The 95% CI includes 1 (no effect) whichever study is left out." in series.conclusion()
    assert direction.any()
    names = [study for study, other in zip(STUDIES, direction, strict=True) if other]
    assert (
        f"Without {' or '.join(names)} the estimate lies on the other side of no effect."
        in series.conclusion()
    )
    assert series.changes() == tuple(names)
    assert y.size == 5
    several = leave_one_out(pool())
    assert several.changes() == ("Adams 2001", "Brown 2005", "Chen 2010", "Dow 2012")
    assert (
        "includes it without Adams 2001, Brown 2005, Chen 2010 or Dow 2012: the conclusion hangs on each of these 4 "
        "studies."
    ) in several.conclusion()
    assert several.most == "Evans 2016"


def test_an_undefined_interval_turns_nothing():
    pooled = pool([0.9, 0.9, 0.9, 0.7], [0.1, 0.2, 0.1, 0.2])
    assert pooled.confidence_interval().lower > 0
    series = quiet(leave_one_out, pooled)
    assert np.isnan(series.confidence_interval().lower).tolist() == [False, False, False, True]
    assert series.side().tolist() == [1, 1, 1, 0]
    assert series.changes() == ()
    assert series.conclusion().startswith("The 95% CI excludes 1 (no effect) whichever study is left out.")


def test_probabilities_have_no_conclusion_to_change():
    series = leave_one_out(
        pool([0.9, 1.2, 0.5, 1.4, -2.1], [0.2, 0.3, 0.25, 0.3, 0.4], measure="logit_survival")
    )
    assert np.isnan(series.pvalue).all()
    assert series.changes() == ()
    assert series.conclusion().startswith("The estimates lie between ")
    assert "%" in series.conclusion()
    low, high = series.natural_interval()
    assert np.all((low < series.natural) & (series.natural < high))


def test_a_higher_log_log_is_a_lower_survival():
    series = leave_one_out(pool([0.4, 0.9, 0.6], [0.1, 0.2, 0.15], measure="cloglog_survival"))
    np.testing.assert_allclose(
        series.natural_interval().lower, np.exp(-np.exp(series.confidence_interval().upper))
    )
    pi = series.natural_prediction_interval()
    assert np.all((pi.lower < pi.upper) | np.isnan(pi.lower))


def test_two_studies_leave_one():
    pooled = pool(LOG_HR[:2], SE[:2])
    with pytest.warns(FewStudiesWarning) as said:
        series = leave_one_out(pooled)
    assert said[0].filename == __file__
    assert str(said[0].message) == (
        "Leaving out one of two studies leaves the other alone, so tau2 and prediction intervals are undefined."
    )
    assert [caution.message for caution in series.warnings] == [str(said[0].message)]
    assert series.estimate.tolist() == pytest.approx([LOG_HR[1], LOG_HR[0]])
    assert series.se.tolist() == pytest.approx([SE[1], SE[0]])
    assert np.isinf(series.df).all()
    for undefined in (
        series.tau2,
        series.i2,
        series.h2,
        series.i2_tau2,
        series.q_pvalue,
        series.prediction_interval().lower,
    ):
        assert np.isnan(undefined).all()
    assert str(series).endswith(f"FewStudiesWarning: {said[0].message}")


def test_equal_effects_leave_the_interval_undefined():
    pooled = pool([0.2, 0.2, 0.2, 0.9], [0.1, 0.2, 0.1, 0.2])
    with pytest.warns(NarrowIntervalWarning) as said:
        series = leave_one_out(pooled)
    assert said[0].filename == __file__
    assert str(said[0].message) == (
        "All effects are equal without Study 4, so the HK interval is undefined there. Pool with ci_method='mHK'."
    )
    assert np.isnan(series.se).tolist() == [False, False, False, True]
    assert "Study 4" not in series.changes()
    with pytest.warns(NarrowIntervalWarning, match=r"^All effects are equal up to Study 2 and Study 3, so"):
        grown = accumulate(pooled)
    assert np.isnan(grown.se).tolist() == [False, True, True, False]
    with pytest.warns(NarrowIntervalWarning, match=r"^All effects are equal without Study 4, so"):
        influence(pooled)


# --- one after the other -----------------------------------------------------------------------------------


def test_the_first_step_is_the_first_study_and_the_last_is_all():
    pooled = pool()
    series = accumulate(pooled, order=[2016, 2005, 2010, 2001, 2012])
    assert series.study == ("Dow 2012", "Brown 2005", "Chen 2010", "Evans 2016", "Adams 2001")
    assert series.order == "key"
    assert series.k.tolist() == [1, 2, 3, 4, 5]
    assert (series.estimate[0], series.se[0], series.df[0]) == (
        pytest.approx(-0.45),
        pytest.approx(0.22),
        np.inf,
    )
    assert series.estimate[-1] == pytest.approx(pooled.estimate, rel=1e-12)
    assert series.se[-1] == pytest.approx(pooled.se, rel=1e-10)
    assert series.members[2].tolist() == [False, True, True, True, False]
    for method in ("HK", "t", "wald"):  # one study has but one interval
        ends = series.confidence_interval(method=method)
        assert (ends.lower[0], ends.upper[0]) == pytest.approx(
            -0.45 + np.array([-1, 1]) * 1.959963984540054 * 0.22
        )


def test_orders_by_name():
    pooled = pool()
    assert accumulate(pooled).study == tuple(STUDIES)
    assert accumulate(pooled).order == "given"
    by_precision = accumulate(pooled, order="precision")
    assert by_precision.study == ("Brown 2005", "Chen 2010", "Adams 2001", "Evans 2016", "Dow 2012")
    tied = accumulate(pooled, order=[1, 0, 1, 0, 1])
    assert tied.study == ("Brown 2005", "Dow 2012", "Adams 2001", "Chen 2010", "Evans 2016")


@given(st.permutations(range(5)))
def test_the_order_is_nothing_but_an_order(order):
    order = np.array(order)
    shuffled = quiet(accumulate, pool(LOG_HR[order], SE[order], study=[STUDIES[i] for i in order]))
    keyed = quiet(accumulate, pool(), order=np.argsort(order))
    assert shuffled.study == keyed.study
    for name in ("estimate", "se", "tau2", "q"):
        np.testing.assert_allclose(getattr(shuffled, name), getattr(keyed, name), rtol=1e-8, atol=1e-10)


def test_the_text_says_since_when():
    growing = accumulate(pool([0.1, -0.5, -0.4, -0.45, -0.5], [0.3, 0.1, 0.1, 0.1, 0.1], ci_method="wald"))
    ends = growing.natural_interval()
    first = int(np.flatnonzero(ends.upper >= 1)[-1]) + 1
    assert 0 < first < 4
    assert growing.conclusion().startswith(
        f"The 95% CI has excluded 1 (no effect) since {STUDIES[first]} was added ({first + 1} studies); it is not "
        "corrected for looking after each study. The last study, Evans 2016, moved the estimate from "
    )
    never = accumulate(pool([0.1, -0.1, 0.1, -0.1, 0.05], [0.3, 0.2, 0.2, 0.3, 0.2], ci_method="mHK"))
    assert never.conclusion().startswith(
        "The 95% CI has included 1 (no effect) from the first study on; it is not"
    )
    survival = accumulate(pool(measure="logit_survival"))
    assert survival.conclusion().startswith("The last study, Evans 2016, moved the estimate from ")


# --- influence ---------------------------------------------------------------------------------------------


def test_influence_names_the_outlier():
    found = influence(pool())
    assert found.influential.tolist() == [False, False, False, False, True]
    assert found.conclusion() == (
        "Evans 2016 is influential (*): |DFFITS| > 1.50, Cook's distance > 0.455, weight > 60% or |DFBETAS| > 1. "
        "Evans 2016 lies more than 1.96 standard errors from the other studies, where chance alone puts 0.25 of 5."
    )
    assert "Evans 2016 *" in str(found)
    nobody = influence(pool([-0.51, -0.32, -0.33, -0.45, -0.30], ci_method="wald"))
    assert nobody.conclusion() == (
        "No study is influential by |DFFITS| > 1.50, Cook's distance > 0.455, weight > 60% or |DFBETAS| > 1."
    )
    np.testing.assert_allclose(found.hat, found.overall.weight)
    np.testing.assert_allclose(found.estimate_deleted, leave_one_out(found.overall).estimate)


def test_shrunken_effects_at_another_level_and_on_the_printed_scale():
    found = influence(pool([0.9, 1.2, 0.5, 1.4, -2.1], measure="cloglog_survival"))
    narrow, wide = found.shrunken_interval(0.8), found.shrunken_interval(0.99)
    assert np.all((wide.lower < narrow.lower) & (narrow.upper < wide.upper))
    natural = found.natural_shrunken_interval(0.8)
    np.testing.assert_allclose(natural.lower, np.exp(-np.exp(narrow.upper)))


def test_influence_of_two_studies():
    with pytest.warns(FewStudiesWarning) as said:
        found = influence(pool(LOG_HR[:2], SE[:2]))
    assert said[0].filename == __file__
    assert str(said[0].message) == (
        "Leaving out one of two studies leaves the other alone, so diagnostics that need its tau2 are undefined."
    )
    assert np.isnan(found.studentized).all()
    assert np.isfinite(found.cook_distance).all()
    assert "NA" in str(found)


# --- what every result answers -----------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [leave_one_out, accumulate, influence])
def test_results_are_frozen_and_speak_json_and_html(verb):
    result = verb(pool())
    for field in dataclasses.fields(result):
        value = getattr(result, field.name)
        if isinstance(value, np.ndarray):
            assert not value.flags.writeable, field.name
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.overall = None
    plain = json.loads(json.dumps(result.to_dict(0.9), allow_nan=False))
    assert plain["level"] == 0.9
    rows = plain["studies" if verb is influence else "steps"]
    frame = result.summary_frame(0.9)
    assert [list(row)[1:] for row in rows] == [list(frame.columns)] * 5
    assert [row[frame.index.name] for row in rows] == STUDIES
    assert rows[4]["estimate"] == frame["estimate"].iloc[4]
    html = result._repr_html_()
    assert html.startswith("<table><caption>")
    assert html.count("<tr>") == (7 if verb is leave_one_out else 6)


def test_json_has_no_nan_and_no_infinity():
    row = accumulate(pool()).to_dict()["steps"][0]
    assert (row["tau2"], row["pi_lower"], row["k"]) == (None, None, 1)


def test_the_common_effect_model_has_no_tau2_and_predicts_nothing():
    series = leave_one_out(pool(tau2_method="CE", ci_method="wald"))
    assert np.isnan(series.prediction_interval()).all()
    header = str(series).splitlines()[1]
    assert "tau2" not in header
    assert "PI" not in header


# --- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [leave_one_out, accumulate, influence])
def test_one_study_is_refused(verb):
    pooled = pool([0.3], [0.1], study=["Adams 2001"])
    message = (
        f"{verb.__name__} needs at least two studies; Adams 2001 is the only one, and nothing was pooled."
    )
    refused(lambda: verb(pooled), message)


def test_a_function_cannot_be_refitted_by_name():
    def hedges(y, v, _design=None, /):
        return Tau2Estimate(max(0.0, np.var(y, ddof=1) - v.mean()), True, 0)

    names = ", ".join(TAU2_ESTIMATORS)
    message = (
        f"leave_one_out fits the model again, which needs tau2_method by name ({names}); this result has 'hedges'. "
        "Pool with a named one."
    )
    refused(lambda: leave_one_out(pool(tau2_method=hedges)), message)

    def generous(_y, _v, _design=None, /):
        return Tau2Estimate(2.0, True, 0)

    generous.__name__ = "DL"
    pooled = pool(tau2_method=generous)
    named = pool(tau2_method="DL")
    message = (
        f"influence fits the normal model with tau2 by DL again, which gives {named.estimate:.6g} and not the "
        f"{pooled.estimate:.6g} of this result: it comes from another model or a function of that name. Give it a "
        "result of pool_effects."
    )
    refused(lambda: influence(pooled), message)


def test_weights_of_ones_own_are_refused():
    message = (
        "accumulate fits the model again with weights 1 / (v + tau2), but this result has weights of its own. Pool "
        "without them."
    )
    refused(lambda: accumulate(pool(weight=np.ones(5))), message)


def test_orders_that_are_none():
    pooled = pool()
    refused(lambda: accumulate(pooled, order="year"), "order must be one of given, precision; got 'year'.")
    refused(
        lambda: accumulate(pooled, order=[1, 2]), "order must have one value for each of 5 studies; got 2."
    )
    refused(
        lambda: accumulate(pooled, order=[1, 2, np.nan, 4, 5]),
        "Chen 2010: order must be finite; got nan at position 2.",
    )


def test_levels_and_methods_are_checked():
    series = leave_one_out(pool())
    message = "level must be a fraction between 0 and 1, such as 0.95; got 95."
    for ask in (series.confidence_interval, series.prediction_interval, series.conclusion, series.changes):
        refused(lambda ask=ask: ask(95), message)
    refused(lambda: influence(pool()).shrunken_interval(95), message)
    for ask, name in ((series.confidence_interval, "CI"), (series.prediction_interval, "PI")):
        with pytest.raises(InvalidInputError, match=r"^method must be one of "):
            ask(method=name)


def test_an_estimator_that_does_not_arrive_is_named(monkeypatch):
    real = TAU2_ESTIMATORS["DL"]

    def stuck(y, v, design=None, /):
        found = real(y, v, design)
        return Tau2Estimate(found.tau2, np.isinf(v[..., 2]), 7)  # arrives only without Chen

    pooled = pool(tau2_method="DL")
    monkeypatch.setattr("netsynth.diagnose.TAU2_ESTIMATORS", {"DL": stuck})
    assert tau2_kernels.TAU2_ESTIMATORS["DL"] is real
    for verb in (leave_one_out, influence):
        with pytest.raises(
            ConvergenceError, match=r"^tau2 by DL did not converge without Adams 2001\.$"
        ) as error:
            verb(pooled)
        assert error.value.last == pytest.approx(pool(LOG_HR[1:], SE[1:], tau2_method="DL").tau2)
    with pytest.raises(ConvergenceError, match=r"^tau2 by DL did not converge up to Chen 2010\.$"):
        accumulate(dataclasses.replace(pooled), order=[5, 6, 1, 0, 7])
