import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import netsynth.results.cohort_series
from netsynth.dependent import pool_dependent
from netsynth.errors import (
    ConvergenceError,
    FewStudiesWarning,
    InvalidInputError,
    NarrowIntervalWarning,
    NetsynthWarning,
)

REFERENCES = Path(__file__).parents[1] / "references"
DATA = json.loads((REFERENCES / "multilevel.json").read_text(encoding="utf-8"))
LEFT_OUT = json.loads((REFERENCES / "cohorts_left_out.json").read_text(encoding="utf-8"))

Y = [0.62, 0.41, 0.10, 0.35, 0.48, -0.22, 0.95, 0.30, 0.55, 0.71, 0.05, 0.33, 0.80, 0.52]
SE = [0.20, 0.18, 0.15, 0.14, 0.22, 0.25, 0.30, 0.12, 0.21, 0.24, 0.19, 0.16, 0.28, 0.23]
COHORT = ["A", "A", "B", "B", "C", "D", "E", "F", "F", "G", "H", "I", "J", "J"]


def quiet(function, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        return function(*args, **kwargs)


def pooled(y=Y, **options):
    options = {"se": SE, "cluster": COHORT, "correlation": 0.6, "measure": "log_hr"} | options
    return quiet(pool_dependent, y, **options)


def series(y=Y, **options):
    return quiet(pooled(y, **options).leave_one_cohort_out)


# --- reference ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reference", LEFT_OUT, ids=[f"{each['dataset']}-{each['rho']}" for each in LEFT_OUT])
def test_reference(reference):
    data = next(each for each in DATA if all(each.get(key) == reference[key] for key in ("dataset", "rho")))
    whole = quiet(
        pool_dependent,
        data["yi"],
        se=np.sqrt(data["vi"]),
        cluster=data["cluster"],
        correlation=data["rho"],
        ci_method="CR2",
    )
    found = quiet(whole.leave_one_cohort_out)
    rows = {row["omitted"]: row for row in reference["rows"]}
    assert sorted(found.cluster) == sorted(rows)
    for i, name in enumerate(found.cluster):
        row = rows[name]
        # metafor stops at a distance of its own, which all else inherits
        unit = max(*row["sigma2"], float(np.min(data["vi"])))
        assert [found.between[i], found.within[i]] == pytest.approx(row["sigma2"], rel=2e-5, abs=2e-5 * unit)
        assert found.estimate[i] == pytest.approx(row["beta"], abs=1e-5 * row["se_model"])
        assert (found.se[i], found.df[i]) == pytest.approx((row["se"], row["df"]), rel=5e-5)
        assert found.pvalue[i] == pytest.approx(row["p"], rel=5e-4)
        assert (found.q[i], found.k[i]) == (pytest.approx(row["QE"], rel=1e-8), row["k"])


# --- second implementation ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"method": "ML", "ci_method": "CR0"},
        {"model": "correlated_effects"},
        {"model": "correlated_effects", "ci_method": "CR1"},
        {"ci_method": "t"},
        {"ci_method": "wald"},
        {"se": None, "correlation": None, "covariance": np.diag(np.square(SE))},
    ],
)
def test_each_step_is_the_pool_of_the_others(options):
    found = series(**options)
    assert found.cluster == tuple("ABCDEFGHIJ")
    for i, name in enumerate(found.cluster):
        here = [j for j, cohort in enumerate(COHORT) if cohort != name]
        part = {"se": np.array(SE)[here], "cluster": [COHORT[j] for j in here]} | options
        if "covariance" in options:
            part["covariance"] = options["covariance"][np.ix_(here, here)]
        alone = pooled(np.array(Y)[here], **part)
        for field in (
            "estimate",
            "se",
            "df",
            "between",
            "within",
            "q",
            "i2",
            "k",
            "natural",
            "pvalue",
            "q_pvalue",
        ):
            assert getattr(found, field)[i] == pytest.approx(getattr(alone, field), rel=1e-7, abs=1e-12)
        for ask in ("confidence_interval", "prediction_interval", "natural_interval"):
            low, high = getattr(found, ask)(0.9)
            assert (low[i], high[i]) == pytest.approx(getattr(alone, ask)(0.9), rel=1e-7)


def test_many_cohorts_are_fitted_in_turns(monkeypatch):
    whole = series()
    monkeypatch.setattr(netsynth.results.cohort_series, "_CHUNK", 3 * 14**2)
    parts = series()
    for field in ("estimate", "se", "df", "between", "within", "q", "i2"):
        assert getattr(parts, field) == pytest.approx(getattr(whole, field), rel=1e-12)


# --- what the result answers -------------------------------------------------------------------------------


def test_text():
    text = str(series())
    assert text.splitlines()[:3] == [
        "Leave one cohort out: Hazard ratio, three-level model by REML, CI by CR2, k = 14 results of 10 cohorts",
        "  omitted   k  estimate  95% CI         df  p        between  within   I2",
        "  A        12      1.43  [1.17, 1.75]  7.0  0.004     0.0136  0.0210  58%",
    ]
    assert text.splitlines()[12:] == [
        "  none     14      1.45  [1.22, 1.72]  7.7  0.001    0.00743  0.0184  51%",
        "  The 95% CI excludes 1 (no effect) whichever cohort is left out. The estimates lie between 1.40 and 1.49;",
        "  leaving out E moves it most, from 1.45 to 1.40.",
    ]
    html = series()._repr_html_()
    assert html.count("<tr>") == 12
    assert "Leave one cohort out" in html


def test_a_cohort_that_decides_is_named():
    found = series(np.array(Y) - 0.2)
    low, high = found.confidence_interval()
    deciding = tuple(name for name, lowest in zip(found.cluster, low, strict=True) if lowest <= 0)
    assert 0 < len(deciding) < 10
    assert found.changes() == deciding
    names = f"{', '.join(deciding[:-1])} or {deciding[-1]}" if len(deciding) > 1 else deciding[0]
    assert found.conclusion().startswith(
        f"The 95% CI excludes 1 (no effect), but not so without {names}, where it includes it. The estimates"
    )
    assert (high > 0).all()
    assert found.changes(0.9999) == ()
    other = series(np.array(Y) - 0.37)
    crossed = [
        name
        for name, mean in zip(other.cluster, other.estimate, strict=True)
        if mean * other.overall.estimate < 0
    ]
    assert len(crossed) > 1
    names = f"{', '.join(crossed[:-1])} or {crossed[-1]}"
    assert f" Without {names} the estimate lies on the other side of no effect." in other.conclusion()
    assert set(crossed) <= set(other.changes())


def test_probabilities_have_no_conclusion_about_no_effect():
    found = series(measure="logit_survival")
    assert np.isnan(found.pvalue).all()
    assert found.changes() == ()
    assert found.conclusion().startswith("The estimates lie between ")
    assert (found.natural_interval().lower < found.natural).all()


def test_frame_and_dictionary():
    found = series()
    frame = found.summary_frame(0.9)
    assert frame.index.tolist() == list(found.cluster)
    assert frame["ci_upper"].tolist() == found.confidence_interval(0.9).upper.tolist()
    for name in ("estimate", "se", "df", "between", "within", "q", "i2", "k", "pvalue", "natural"):
        assert frame[name].tolist() == getattr(found, name).tolist()
    plain = json.loads(json.dumps(found.to_dict(0.9), allow_nan=False))
    assert plain["steps"][4] == {"omitted": "E", **frame.loc["E"].to_dict()}
    assert (plain["model"], plain["method"], plain["ci_method"]) == ("three_level", "REML", "CR2")
    assert series(ci_method="wald").to_dict()["steps"][0]["df"] == "inf"
    assert found.most == "E"
    assert found.shift == pytest.approx(found.estimate - pooled().estimate, rel=1e-12)
    with pytest.raises(ValueError, match="read-only"):
        found.estimate[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        found.k[0] = 1


# --- warnings and refusals ---------------------------------------------------------------------------------


def test_few_degrees_of_freedom_without_a_cohort_are_warned_of():
    result = pooled([0.1, 0.4, 0.2, 0.3, 0.5], se=[0.1] * 5, cluster=list("AABCD"), correlation=0.3)
    with pytest.warns(FewStudiesWarning) as said:
        found = result.leave_one_cohort_out()
    assert [str(warning.message) for warning in said] == [
        "Without A, B, C or D the CR2 interval has fewer than 4 degrees of freedom. Its level and p-value cannot be "
        "trusted then.",
        "Without A no cohort has two results, so the variance between cohorts holds that within cohorts too.",
    ]
    assert said[0].filename == __file__
    assert [caution.message for caution in found.warnings] == [str(warning.message) for warning in said]
    assert str(found).splitlines()[-2:] == [f"  {caution}" for caution in found.warnings]
    assert np.isnan(found.within).tolist() == [True, False, False, False]
    assert str(found).splitlines()[2].split()[-2] != "nan"


def test_equal_effects_without_a_cohort_are_warned_of():
    result = pooled([0.3] * 13 + [0.5], cluster=[*COHORT[:12], "J", "K"], ci_method="CR1")
    with pytest.warns(NarrowIntervalWarning) as said:
        found = result.leave_one_cohort_out()
    message = "Without K all effects are equal, so the CR1 interval is undefined."
    assert [str(warning.message) for warning in said] == [message]
    assert np.isnan(found.se).tolist() == [False] * 10 + [True]
    assert "K" not in found.changes()
    assert "nan" not in str(found)


def test_nothing_to_warn_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pooled().leave_one_cohort_out().warnings == ()


def test_two_cohorts_are_too_few():
    message = "Leaving a cohort out takes at least three cohorts; got 2, and no mean rests on one."
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        pooled([0.1, 0.2, 0.4], se=[0.1] * 3, cluster=list("AAB")).leave_one_cohort_out()
    with pytest.raises(InvalidInputError, match="level must be a fraction"):
        series().conclusion(95)


def test_a_search_that_does_not_arrive_is_an_error(monkeypatch):
    result, found = pooled(), series()
    module = netsynth.results.cohort_series.dependent
    fit = module.fit_dependent

    def lost(*args, **kwargs):
        fits = fit(*args, **kwargs)
        return fits._replace(converged=np.arange(fits.converged.size) != 2)

    monkeypatch.setattr(module, "fit_dependent", lost)
    with pytest.raises(
        ConvergenceError, match=r"^The three-level model by REML did not converge without C\.$"
    ) as error:
        result.leave_one_cohort_out()
    assert error.value.last == found.between[2]
