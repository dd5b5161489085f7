import json
import math
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from netsynth import pool_effects
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.review import Review
from netsynth.data.study import Group, Study
from netsynth.data.survival import ReportedTime
from netsynth.errors import (
    FewStudiesWarning,
    ImputedVarianceWarning,
    InvalidInputError,
    OverlapWarning,
    UnusableDataWarning,
)
from netsynth.median_survival import pool_median_survival

LUNG = json.loads((Path(__file__).parent / "references" / "median_survival.json").read_text(encoding="utf-8"))
DATA = LUNG["data"]
NAN = math.nan
Z = 1.959963984540054
OPEN = {
    "data": [34, 46, 55, 41, NAN],
    "study": ["A", "B", "C", "D", "E"],
    "ci_lower": [27, 38, 40, 30, 52],
    "ci_upper": [43, 56, 75, 56, NAN],
    "follow_up_months": [60, 72, 80, 65, 60],
    "n_total": [80, 120, 70, 60, 95],
}


def pooled(**change):
    options = {**OPEN, **change}
    return pool_median_survival(options.pop("data"), **{k: v for k, v in options.items() if v is not None})


def lung(arm, **options):
    ends = {
        f"ci_{ours}": DATA[f"med.ci.{theirs}.{arm}"] for ours, theirs in (("lower", "lb"), ("upper", "ub"))
    }
    return pool_median_survival(DATA[f"med.{arm}"], **ends, **options)


def test_example_of_thirty_trials():
    # computed in R: natural scale 12.8109 (se .9249; 10.9982-14.6235), tau2 22.8126; log scale 12.3486
    # (10.8645-14.0354), tau2 .110062
    natural = lung("g2", scale="natural", ci_method="wald")
    assert (natural.natural, natural.se, natural.tau2) == pytest.approx((12.8109, 0.9249, 22.8126), abs=5e-5)
    assert natural.natural_interval() == pytest.approx((10.9982, 14.6235), abs=5e-5)
    log = lung("g2", ci_method="wald")
    assert log.natural == pytest.approx(12.3486, abs=5e-5)
    assert log.natural_interval() == pytest.approx((10.8645, 14.0354), abs=5.1e-5)
    assert log.tau2 == pytest.approx(0.110062, abs=5e-7)
    # its normal prediction interval: 6.3651-23.9569
    half = Z * math.hypot(log.tau, log.se)
    assert (math.exp(log.estimate - half), math.exp(log.estimate + half)) == pytest.approx(
        (6.3651, 23.9569), abs=2e-4
    )
    assert log.dropped.q == pytest.approx(log.imputed.q)


@pytest.mark.parametrize("arm", ["g1", "g2"])
def test_reference_natural_scale(arm):
    case = next(c for c in LUNG["cases"] if c["estimand"] == f"median_{arm}" and c["tau2_method"] == "REML")
    for method, ours in (("z", "wald"), ("knha", "mHK")):
        found, theirs = lung(arm, scale="natural", ci_method=ours), case[method]
        assert found.study_se.tolist() == pytest.approx(case["sei"], rel=1e-9)
        assert found.estimate == pytest.approx(theirs["beta"], rel=1e-6)
        assert found.tau2 == pytest.approx(theirs["tau2"], rel=1e-6)
        if method == "z" or found.knapp_hartung > 1:
            assert found.confidence_interval() == pytest.approx((theirs["ci_lb"], theirs["ci_ub"]), rel=1e-6)
        assert found.dropped.q == pytest.approx(theirs["QE"], rel=1e-9)


def test_reference_ratio_of_medians():
    """The log ratio of two arms is one for `pool_effects`; R takes its errors from the natural scale."""
    case = next(c for c in LUNG["cases"] if c["estimand"] == "ratio_median" and c["tau2_method"] == "REML")
    one, two = (lung(arm, scale="natural") for arm in ("g1", "g2"))
    y = np.log(one.lower / two.lower)
    assert y.tolist() == pytest.approx(case["yi"], rel=1e-9, abs=1e-12)
    found = pool_effects(
        y,
        se=np.hypot(one.study_se / one.lower, two.study_se / two.lower),
        ci_method="wald",
        measure="log_median_ratio",
    )
    assert (found.estimate, found.tau2, found.q) == pytest.approx(
        (case["z"]["beta"], case["z"]["tau2"], case["z"]["QE"]), rel=1e-6
    )
    # computed in R: .1074 (.0435-.1712), tau2 .0096, Q 46.8875
    assert found.estimate == pytest.approx(0.1074, abs=5e-5)
    assert found.confidence_interval() == pytest.approx((0.0435, 0.1712), abs=5e-5)


def test_without_open_ends_it_is_the_ordinary_model():
    found = pooled(data=[34, 46, 55, 41, 38], ci_upper=[43, 56, 75, 56, 70], ci_lower=[27, 38, 40, 30, 22])
    y = np.log([34, 46, 55, 41, 38])
    se = (np.log([43, 56, 75, 56, 70]) - np.log([27, 38, 40, 30, 22])) / (2 * Z)
    known = pool_effects(y, se=se, measure="log_median_time")
    assert found.k_open == 0
    assert (found.estimate, found.tau2) == pytest.approx((known.estimate, known.tau2), rel=1e-5, abs=1e-9)
    assert found.confidence_interval() == pytest.approx(known.confidence_interval(), rel=1e-5)
    assert found.confidence_interval(method="t") == pytest.approx(
        known.confidence_interval(method="t"), rel=1e-5
    )
    assert found.prediction_interval() == pytest.approx(known.prediction_interval(), rel=1e-5)
    assert found.tau2_interval() == pytest.approx(known.tau2_interval(method="PL_REML"), rel=1e-4, abs=1e-9)
    assert found.weight == pytest.approx(known.weight, rel=1e-4)
    assert found.dropped.estimate == found.imputed.estimate == pytest.approx(known.estimate)


def test_an_open_end_is_evidence():
    found = pooled()
    assert (found.k, found.k_open) == (5, 1)
    assert found.lower[4] == pytest.approx(math.log(60))
    assert math.isinf(found.upper[4])
    assert found.study_se[4] == pytest.approx(1 / (math.sqrt(47.5) * math.log(2)))
    assert found.dropped.natural < found.imputed.natural < found.natural
    assert 4 < found.n_effective < 5
    assert found.df == pytest.approx(found.n_effective - 1)
    frame = found.sensitivity_frame()
    assert frame.index.tolist() == ["open ends as bounds", "open ends dropped", "bounds taken for medians"]
    assert frame["k"].tolist() == [5, 4, 5]
    assert frame.loc["open ends dropped", "median_months"] == found.dropped.natural
    assert found.natural_interval(method="profile").upper > found.natural


def test_more_events_make_a_bound_firmer():
    few, many = (pooled(n_events=[NAN] * 4 + [d]) for d in (4, 47))
    assert few.study_se[4] == pytest.approx(1 / (2 * math.log(2)))
    assert few.route[4] == "events"
    assert few.natural < many.natural


def test_what_a_bound_rests_on():
    """A printed '>' before follow-up, follow-up before a lower limit, a lower limit where nothing else is known."""
    above = pooled(data=[34, 46, 55, 41, ReportedNumber("72", "month", ">")])
    assert above.lower[4] == pytest.approx(math.log(72))
    assert above.printed[4] == ">72 months"
    limit = pooled(follow_up_months=None)
    assert limit.lower[4] == pytest.approx(math.log(52))
    late = pooled(follow_up_months=[60, 72, 80, 65, 40])
    assert late.lower[4] == pytest.approx(math.log(52))
    below = pooled(data=[34, 46, 55, 41, ReportedNumber("2", "year", "<")], ci_lower=[27, 38, 40, 30, NAN])
    assert below.upper[4] == pytest.approx(math.log(24))
    assert below.natural < below.dropped.natural
    bare = pooled(n_total=None)
    assert bare.route[4] == "lower limit to the bound"
    assert bare.study_se[4] == pytest.approx(math.log(60 / 52) / Z)


def test_errors_by_route():
    with pytest.warns(ImputedVarianceWarning) as seen:
        found = pool_median_survival(
            [30, 40, 50, 60, 35],
            study=["full", "lower", "beyond", "events", "patients"],
            ci_lower=[24, 30, 45, NAN, NAN],
            ci_upper=[40, NAN, NAN, NAN, NAN],
            follow_up_months=[NAN, NAN, 90, NAN, NAN],
            n_events=[NAN, NAN, NAN, 50, NAN],
            n_total=[NAN, NAN, NAN, 80, 90],
            event_share=0.6,
        )
    assert found.route == ("confidence interval", "lower limit", "lower limit", "events", "patients")
    expected = [
        math.log(40 / 24) / (2 * Z),
        math.log(40 / 30) / Z,
        math.log(90 / 50) / Z,  # an upper limit that was not reached lies beyond the follow-up
        1 / (math.sqrt(50) * math.log(2)),
        1 / (math.sqrt(54) * math.log(2)),
    ]
    assert found.study_se.tolist() == pytest.approx(expected)
    assert [str(w.message) for w in seen] == [
        "median OS: standard errors rest on the lower limit alone, which makes them too small where the interval is "
        "skewed: lower and beyond",
        "median OS: standard errors rest on the events, as if survival were exponential: events",
        "median OS: standard errors rest on a share of the patients taken for events, as if survival were exponential: "
        "patients",
    ]
    assert Path(seen[0].filename).name == "test_median_survival.py"


def test_events_on_the_natural_scale():
    with pytest.warns(ImputedVarianceWarning), pytest.warns(FewStudiesWarning):
        found = pool_median_survival([60, 40], n_events=[50, 60], scale="natural")
    assert found.study_se.tolist() == pytest.approx(
        [60 / (50**0.5 * math.log(2)), 40 / (60**0.5 * math.log(2))]
    )


def test_exponential_error_of_a_median_by_simulation():
    """1 / (sqrt d ln 2) is the error of the logarithm of a median of uncensored exponential times."""
    rng, n = np.random.default_rng(2), 201
    medians = np.log(np.median(rng.exponential(1, (20_000, n)), axis=1))
    assert medians.std() == pytest.approx(1 / (math.sqrt(n) * math.log(2)), rel=0.03)


def test_a_study_that_says_nothing_is_named():
    with pytest.warns(UnusableDataWarning) as seen:
        found = pool_median_survival(
            [34, 46, NAN, NAN, 40, 37],
            study=list("ABCDEF"),
            ci_lower=[27, 38, NAN, NAN, NAN, 30],
            ci_upper=[43, 56, NAN, NAN, NAN, 49],
            follow_up_months=[60, 72, NAN, 40, NAN, NAN],
            n_total=[80, 120, 70, NAN, NAN, NAN],
        )
    assert [entry.study for entry in found.left_out] == ["C", "D", "E"]
    assert (
        found.left_out[0].reason
        == "its median was not reached, and neither a time nor a lower limit is printed"
    )
    assert found.left_out[1].reason == "its median is open-ended, and neither patients nor events are printed"
    assert found.left_out[2].reason == "it prints neither a confidence interval nor events nor patients"
    assert "left out: C (its median was not reached" in str(found)
    assert any("not used: C (" in str(w.message) for w in seen)


@pytest.fixture
def records():
    def one(study, value, qualifier="=", ci=(None, None), n=80, unit="month"):
        return ReportedTime.of(
            study, "OS", ReportedNumber(value, unit, qualifier), unit, ci=ci, group=Group(n_total=n)
        )

    return (
        one("a", "34", ci=(27, 43)),
        one("b", "46", ci=(38, 56)),
        one("c", "4.5", ci=("3.4", "6.2"), unit="year"),
        one("d", "", "not reached", n=95),
        one("e", "60", ">", n=60),
        one("f", "41", ci=(30, ReportedNumber("", "month", "not reached"))),
    )


def test_records(records):
    with (
        pytest.warns(UnusableDataWarning, match="not used: d"),
        pytest.warns(ImputedVarianceWarning, match="f"),
    ):
        found = pool_median_survival(records)
    assert found.study == ("a", "b", "c", "e", "f")
    assert found.study_months[2] == pytest.approx(54)
    assert found.study_se[2] == pytest.approx(math.log(6.2 / 3.4) / (2 * Z))
    assert found.lower[3] == pytest.approx(math.log(60))
    assert found.study_se[4] == pytest.approx(math.log(41 / 30) / Z)
    assert found.printed[4] == "41 months (30\u2013NR months)"
    assert found.endpoint == "OS"


def test_a_review(records):
    studies = tuple(
        Study(
            name, followup=ReportedNumber("50", "month") if name == "d" else None, followup_statistic="median"
        )
        for name in "abcdef"
    )
    review = Review(studies, times=records)
    with pytest.warns(ImputedVarianceWarning):
        found = pool_median_survival(review, "OS")
    # the follow-up of d bounds its median, which was not reached
    assert found.study == ("a", "b", "c", "d", "e", "f")
    assert found.lower[3] == pytest.approx(math.log(50))
    assert found.k_open == 2
    with pytest.raises(InvalidInputError, match="no study prints one"):
        pool_median_survival(review, "PFS")
    with pytest.raises(
        InvalidInputError, match=r"n_events goes with an array of medians; a review holds its own"
    ):
        pool_median_survival(review, "OS", n_events=[1])


def test_one_median_that_was_reached():
    with pytest.warns(
        FewStudiesWarning, match="A is the only study whose median was reached, so nothing is pooled"
    ):
        found = pool_median_survival([34, NAN], study=["A", "B"], ci_lower=[27, NAN], ci_upper=[43, NAN],
                                     follow_up_months=[60, 60], n_total=[80, 90])  # fmt: skip
    assert (found.k, found.pooled, found.natural) == (1, False, pytest.approx(34))
    assert math.isnan(found.tau2)
    assert math.isnan(found.prediction_interval().lower)
    assert math.isnan(found.tau2_interval().upper)
    assert "one study (A), not pooled" in str(found)
    assert found.plot().get_xlabel() == "Median OS, months"


def test_two_medians_that_were_reached():
    with pytest.warns(
        FewStudiesWarning, match="two medians that were reached say next to nothing about tau2"
    ):
        found = pool_median_survival([34, 40], ci_lower=[27, 30], ci_upper=[43, 55])
    assert found.df == 1
    assert math.isnan(found.prediction_interval().lower)


def test_no_median_that_was_reached():
    with pytest.raises(InvalidInputError) as error:
        pool_median_survival([NAN, NAN], study=["A", "B"], follow_up_months=[60, 40], n_total=[80, 90])
    assert str(error.value) == (
        "median OS: no study prints a median that was reached, so its size is not known, only bounds: A (not reached, "
        "above 60 months) and B (not reached, above 40 months). Use median_range for what they say together."
    )


@pytest.mark.parametrize(("change", "message"), [
    ({"data": [34, -1, 55, 41, NAN]}, "B: a median must be positive; got -1."),
    ({"data": [34, [2], 55, 41, NAN]}, "B: a median must be a number, nan where it was not reached; got [2]."),
    ({"data": [34, "", 55, 41, NAN]}, "B: a median must be a number, nan where it was not reached; got ''."),
    ({"data": []}, "data is empty; give at least one median."),
    ({"data": 5}, "data must be a review, records or medians; got 5."),
    ({"ci_lower": [27, 38, 40]}, "ci_lower must give one value per median, 5; got 3."),
    ({"ci_lower": [27, 0, 40, 30, 52]}, "B: ci_lower must be positive; got 0."),
    ({"ci_lower": [36, 38, 40, 30, 52]},
     "A: the confidence interval 36 to 43 does not hold the median 34. Check the transcription."),
    ({"n_events": [90, 1, 1, 1, 1]}, "A: 90 events of 80 patients. Check both."),
    ({"n_events": [40, 50, 30, 30, 90]},
     "E: with 90 events of 95 patients the curve ends at 0.053 or below, so its median was reached. Check the three."),
    ({"n_events": [40, 50, 30, 30, 48]},
     "E: with 48 events of 95 patients the curve ends at 0.49 or below, so its median was reached. Check the three."),
    ({"data": {"study": ["A"], "median": [3], "n_total": [9], "n": [9]}, **dict.fromkeys(list(OPEN)[1:])},
     "data has both n and n_total, the number of patients. Leave one out."),
    ({"data": {"study": ["A"], "months": [3]}, **dict.fromkeys(list(OPEN)[1:])},
     "data needs the column 'median'; known columns are study, median, ci_lower, ci_upper, follow_up_months, n_events, "
     "n_total; got study, months."),
    ({"data": {"median": [3, 4]}}, "ci_lower goes with an array of medians; a table holds its own. Leave it out."),
    ({"scale": "sqrt"}, "scale must be one of log, natural; got 'sqrt'."),
    ({"ci_method": "HK"}, "ci_method must be one of wald, t, mHK, profile; got 'HK'."),
    ({"event_share": 0}, "event_share must be a share in (0, 1]; got 0."),
    ({"ci_level": 95}, "level must be a fraction between 0 and 1, such as 0.95; got 95."),
    ({"endpoint": "XYZ"}, None),
])  # fmt: skip
def test_refusals(change, message):
    with pytest.raises(InvalidInputError) as error:
        pooled(**change)
    assert message is None or str(error.value) == message


def test_refusals_of_records(records):
    other = ReportedTime.of("g", "PFS", 21, ci=(15, 30))
    with pytest.raises(
        InvalidInputError, match=r"Records must be of one endpoint; got OS and PFS. Choose one."
    ):
        pool_median_survival([*records, other])
    mean = ReportedTime.of("g", "OS", 21, statistic="mean")
    with pytest.raises(InvalidInputError, match=r"g: a mean is not a median. Leave it out."):
        pool_median_survival([*records, mean])


def test_times_of_zero(records):
    zero = ReportedTime.of("g", "OS", 0)
    with pytest.raises(InvalidInputError, match=r"g: a median must be positive; got 0\."):
        pool_median_survival([*records, zero])
    # a lower limit of 0 says nothing, and is no reason to stumble
    bare = ReportedTime.of("g", "OS", ReportedNumber("", "month", "not reached"), ci=(0, None))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pool_median_survival([*records, bare])
    assert [entry.study for entry in found.left_out] == ["d", "g"]


def test_frames_and_text():
    found = pooled()
    row = found.summary_frame().iloc[0]
    assert row["median_months"] == found.natural
    assert (row["ci_lower"], row["ci_upper"]) == tuple(found.natural_interval())
    frame = found.study_frame()
    assert frame["open"].tolist() == [False] * 4 + [True]
    assert frame["weight"].sum() == pytest.approx(1)
    assert np.isnan(frame.loc["E", "median_months"])
    assert (frame.loc["E", "lower_months"], frame.loc["E", "upper_months"]) == pytest.approx((60, math.inf))
    text = str(found)
    assert "k = 5, 1 open-ended" in text
    assert "for comparison, open ends dropped: 42.9 [31.3, 58.8]" in text
    assert "not reached" in found._repr_html_()
    level = found.natural_interval(0.8)
    assert found.natural_interval().lower < level.lower < level.upper < found.natural_interval().upper
    with pytest.raises(InvalidInputError):
        found.confidence_interval(method="HK")


def test_a_prediction_past_what_can_be_observed_is_printed_as_bounds():
    found = pool_median_survival([12, 34, 75], ci_lower=[9, 27, 50], ci_upper=[16, 43, 110])
    assert "95% CI [3.19, 303]   95% PI [<0.01, >1000]" in str(found)
    assert "95% CI [3.19, 303]   95% PI [<0.01, >1000]" in str(found.dropped)
    # the numbers themselves are kept; t on one degree of freedom has the quantile tan(0.475 pi)
    half = math.tan(0.475 * math.pi) * math.hypot(found.tau, found.se)
    (row,) = found.summary_frame().itertuples()
    assert (row.pi_lower, row.pi_upper) == pytest.approx(
        (found.natural * math.exp(-half), found.natural * math.exp(half))
    )
    assert row.pi_upper > 1e7


def test_an_end_beyond_all_numbers_is_infinite():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pool_median_survival(
            [12, 75, math.nan],
            ci_lower=[9, 50, math.nan],
            ci_upper=[16, 110, math.nan],
            follow_up_months=[math.nan, math.nan, 13],
            n_total=[50, 70, 80],
        )
    assert found.prediction_interval().upper > 710  # exp(710) is no double
    assert found.natural_prediction_interval() == (0.0, math.inf)
    assert "95% PI [<0.01, >1000]" in str(found)
    text = {text.get_text() for text in found.plot().texts}
    assert {"[<0.01,", ">1000]"} <= text
    assert math.isinf(found.summary_frame()["pi_upper"].item())


def test_units_do_not_matter():
    """Years in place of months, all times together: every time of the answer is one twelfth."""
    months = pooled()
    twelfth = {
        name: np.array(OPEN[name], dtype=float) / 12
        for name in ("data", "ci_lower", "ci_upper", "follow_up_months")
    }
    years = pooled(**twelfth)
    assert years.natural == pytest.approx(months.natural / 12, rel=1e-6)
    assert years.tau2 == pytest.approx(months.tau2, rel=1e-4)


def test_interval_of_a_record_at_another_level():
    ci = ReportedInterval.of(27, 43, "month", 0.9)
    time = ReportedTime.of("a", "OS", 34)
    record = ReportedTime("a", time.endpoint, "median", time.value, Group(), ci)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewStudiesWarning)
        found = pool_median_survival([record])
    assert found.study_se[0] == pytest.approx(math.log(43 / 27) / (2 * 1.6448536269514722))


def test_events_that_a_median_not_reached_can_have():
    found = pooled(n_events=[40, 50, 30, 30, 47])
    assert found.k_open == 1
    # at half of the patients the curve may stay at one half, which some take for not reached
    assert pooled(n_total=[80, 120, 70, 60, 94], n_events=[40, 50, 30, 30, 47]).k_open == 1
    # a bound that is printed says where the curve was when it was printed, not that it never fell
    assert (
        pooled(data=[34, 46, 55, 41, ReportedNumber("60", "month", ">")], n_events=[1, 1, 1, 1, 90]).k_open
        == 1
    )


def test_a_study_given_twice():
    with pytest.warns(OverlapWarning) as seen:
        found = pooled(study=["A", "B", "A", "D", "E"])
    assert str(seen[0].message) == (
        "median OS: A given more than once; the same patients may be counted twice."
    )
    assert Path(seen[0].filename).name == "test_median_survival.py"
    assert found.warnings[0].name == "OverlapWarning"
    assert found.k == 5


def test_texts_of_a_table_are_read_as_printed():
    """A column as it comes from a file: an upper limit and a median that were not reached, and a bound."""
    text = {
        "study": ["A", "B", "C", "D", "E"],
        "median": ["60", "85.5", "NR", "105", ">96"],
        "ci_lower": ["40", "60", None, "80", ""],
        "ci_upper": ["90", "120", "", "NR", None],
        "follow_up_months": [None, None, 48, None, None],
        "n_total": [50, 60, 70, 80, 90],
    }
    numbers = text | {
        "median": [60, 85.5, NAN, 105, ReportedNumber("96", "month", ">")],
        "ci_lower": [40, 60, NAN, 80, NAN],
        "ci_upper": [90, 120, NAN, math.inf, NAN],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read, given = pool_median_survival(text), pool_median_survival(numbers)
    assert (read.estimate, read.tau2) == (given.estimate, given.tau2)
    assert read.study == given.study == ("A", "B", "C", "D", "E")


def test_a_table_has_levels_endpoints_and_missing_cells():
    table = pd.DataFrame(
        {
            "study": ["A", "B", "C"],
            "median": [60, 85, 105],
            "ci_lower": [40, 60, 80],
            "ci_upper": [90, 120, None],
            "n_total": [80, None, 60],
        }
    ).convert_dtypes()  # missing cells are <NA>
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain, at_90 = (pool_median_survival(each) for each in (table, table.assign(ci_level=0.9)))
    # (ln U - ln L) / (2 z), z = 1.6449 for 90%
    assert at_90.study_se[1] == pytest.approx(math.log(2) / (2 * 1.644854), rel=1e-6)
    assert plain.study_se[1] == pytest.approx(math.log(2) / (2 * 1.959964), rel=1e-6)
    with pytest.raises(InvalidInputError, match="Row 3: reports PFS, and OS is asked for"):
        pool_median_survival(table.assign(endpoint=["OS", "OS", "PFS"]))
    with pytest.raises(InvalidInputError, match="Row 2: study is missing"):
        pool_median_survival(table.assign(study=["A", None, "C"]))
    with pytest.raises(InvalidInputError, match="A: the confidence interval begins at 95 and ends at 90"):
        pool_median_survival(table.assign(ci_lower=[95, 60, 80]))


def test_a_table():
    expected = pooled()
    columns = {("median" if name == "data" else name): column for name, column in OPEN.items()}
    patients = {("n" if name == "n_total" else name): column for name, column in columns.items()}
    columns |= {"country": ["x"] * 5}
    for table in (columns, patients, pd.DataFrame(columns)):
        found = pool_median_survival(table)
        assert found.study == expected.study
        assert found.estimate == expected.estimate
        assert found.lower.tolist() == expected.lower.tolist()
    for library in ("polars", "pyarrow"):
        module = pytest.importorskip(library)
        columns["median"], columns["ci_upper"] = [34, 46, 55, 41, None], [43, 56, 75, 56, None]
        given = module.DataFrame(columns) if library == "polars" else module.table(columns)
        assert pool_median_survival(given).estimate == expected.estimate
    numbered = {**columns, "study": [1, 2, 3, 4, 5]}
    assert pool_median_survival(numbered).study == ("1", "2", "3", "4", "5")


def test_printed_limits_are_shown_as_printed():
    found = pooled()
    frame = found.study_frame()
    assert frame["lower_months"].tolist() == [27, 38, 40, 30, pytest.approx(60)]
    assert frame["upper_months"].tolist() == [43, 56, 75, 56, math.inf]
    assert "[27.0, 43.0]" in found._repr_html_()
    text = [text.get_text() for text in found.plot().texts]
    assert {"[27.0,", "43.0]", "[38.0,", "56.0]"} <= set(text)
    # at another level they are those of the standard error
    low, high = found.natural_study_interval(0.9)
    half = 1.6448536269514722 * found.study_se[0]
    assert (low[0], high[0]) == pytest.approx((34 * math.exp(-half), 34 * math.exp(half)))
    ninety = pooled(ci_level=0.9)
    assert ninety.natural_study_interval(0.9)[0][0] == 27
    assert ninety.natural_study_interval(0.95)[0][0] < 27


def test_a_limit_that_is_not_printed_is_of_the_error(records):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lone = pooled(ci_upper=[NAN, 56, 75, 56, NAN])
        found = pool_median_survival(records)
    low, high = lone.natural_study_interval()
    assert (low[0], high[0]) == pytest.approx((27, 60))  # the upper limit lies beyond the follow-up
    assert found.natural_study_interval()[1][4] == math.inf  # printed as not reached
    assert "[30.0, NR]" in found._repr_html_()
    # 4.5 (3.4-6.2) years
    assert (found.natural_study_interval()[0][2], found.natural_study_interval()[1][2]) == pytest.approx(
        (40.8, 74.4)
    )


def test_json():
    found = pooled()
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told["endpoint"] == "OS"
    assert told["median_months"] == found.natural
    assert (told["ci_lower"], told["ci_upper"]) == tuple(found.natural_interval())
    assert told["studies"][4] | {"weight": 0, "se": 0, "share": 0} == {
        "study": "E", "printed": "not reached", "median_months": None, "lower_months": pytest.approx(60),
        "upper_months": "inf", "open": True, "se": 0, "route": "patients", "share": 0, "weight": 0,
    }  # fmt: skip
    assert [row["analysis"] for row in told["sensitivity"]] == found.sensitivity_frame().index.tolist()
    assert told["warnings"] == []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = pool_median_survival([34, NAN], study=["A", "B"], ci_lower=[27, NAN], ci_upper=[43, NAN])
    told = json.loads(json.dumps(one.to_dict(0.9), allow_nan=False))
    assert told["tau2"] is None
    assert told["level"] == 0.9
    assert told["left_out"] == [{"study": "B", "reason": one.left_out[0].reason}]
    assert len(told["warnings"]) == len(one.warnings) == 2
