"""One series a study, from whatever the studies come in."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from netsynth.curve_methods.at_risk import impossible, without_impossible
from netsynth.curve_methods.reports import StudyReport, read_reports
from netsynth.data.endpoint import Endpoint
from netsynth.data.number import ReportedNumber
from netsynth.data.review import Review
from netsynth.data.study import Group, Study
from netsynth.data.survival import ReportedSurvival
from netsynth.errors import InvalidInputError, UnusableDataWarning


def read(data, endpoint="OS", **more):
    options = {"sets": None, "roles": ("overall", "arm"), "overlap": "largest", **more}
    return read_reports(data, endpoint, **options)


def series(study, percent, years=(1, 3, 5), endpoint="OS", **more):
    return ReportedSurvival.from_percent(
        study, endpoint, years=years[: len(percent)], percent=percent, **more
    )


COLUMNS = {
    "study": ["A", "A", "B"],
    "time_months": [36.0, 12.0, 12.0],
    "survival": [0.7, 0.9, 0.8],
    "n_total": [50.0, 50.0, 40.0],
}


def test_a_review_gives_one_series_a_study():
    arm = Group("resected", "arm", n_total=70)
    review = Review(
        (
            Study("a", first_author="Adams", year=2001, followup=ReportedNumber.of(30, "month")),
            Study("b", overlap=("a",)),
            Study("c"),
        ),
        survival=(
            series("a", [90], n_total=100),
            series("a", [88, 70, 60], group=arm),
            series("a", [99, 98], endpoint="DSS", n_total=100),
            series("b", [80, 50], n_total=60),
            series("c", [75, 55], n_total=30, n_at_risk=[20, 9]),
        ),
    )
    found = read(review)
    assert [study.name for study in found.studies] == [
        "Adams 2001",
        "c",
    ]  # b shares patients with a, which is larger
    assert found.studies[0].time.tolist() == [12.0]  # the whole cohort before the arm
    assert found.studies[0].followup_months == 30
    assert found.studies[1].n_at_risk.tolist() == [20.0, 9.0]
    assert found.label == "overall survival"
    assert read(review, roles=("arm",)).studies[0].time.tolist() == [12.0, 36.0, 60.0]
    assert len(read(review, overlap="keep").studies) == 3
    assert [study.name for study in read(review, "DSS").studies] == ["Adams 2001"]
    with pytest.raises(InvalidInputError, match="No study of the review reports PFS over time"):
        read(review, "PFS")


def test_among_groups_of_one_role_the_one_with_most_landmarks():
    review = Review(
        (Study("a"),),
        survival=(
            series("a", [90, 80], group=Group("one", "arm", n_total=100)),
            series("a", [88, 70, 60], group=Group("two", "arm", n_total=50)),
        ),
    )
    assert read(review).studies[0].time.size == 3


def test_standard_errors_come_from_printed_limits():
    reported = series("PBC", ["69.9", "37.2"], (5, 10), ci_lower=["62.8", None], ci_upper=["77.9", None])
    (study,) = read([reported]).studies
    assert study.se[0] == pytest.approx(0.03845, abs=1e-4)  # as printed
    assert math.isnan(study.se[1])


@pytest.mark.parametrize("make", [dict, pd.DataFrame], ids=["mapping", "pandas"])
def test_columns(make):
    a, b = read(make(COLUMNS)).studies
    assert (a.name, b.name) == ("A", "B")
    assert a.time.tolist() == [12.0, 36.0]  # in order
    assert a.survival.tolist() == [0.9, 0.7]
    assert (a.n_total, b.n_total) == (50.0, 40.0)


@pytest.mark.parametrize("package", ["polars", "pyarrow"])
def test_columns_of_other_frames(package):
    module = pytest.importorskip(package)
    frame = module.DataFrame(COLUMNS) if package == "polars" else module.table(COLUMNS)
    assert [study.n_total for study in read(frame).studies] == [50.0, 40.0]


def test_a_row_at_time_0_says_how_many_began():
    (study,) = read(
        {"study": ["A"] * 3, "time_months": [0, 12, 24], "survival": [1, 0.8, 0.6], "n_at_risk": [50, 38, 20]}
    ).studies
    assert study.n_total == 50
    assert study.n_at_risk.tolist() == [38, 20]
    assert study.time.tolist() == [12, 24]


def test_studies_without_a_number_are_named_and_left_out():
    found = read([series("A", [90, 70], n_total=50), series("B", [80])])
    assert [study.name for study in found.studies] == ["A"]
    ((kind, message),) = found.doubts
    assert kind is UnusableDataWarning
    assert message.startswith("not pooled, for want of a number of patients: B;")
    assert "bound_pooled_survival needs none" in message


def changed(**columns):
    return {**COLUMNS, **columns}


WRONG = [
    (5, "data must be a Review, a sequence of ReportedSurvival, or a data frame"),
    ([], "data must be a Review"),
    ([series("A", [90], n_total=5), "B"], "ReportedSurvival records alone; got str"),
    ([series("A", [90], n_total=5), series("A", [80], n_total=9)], "A: two series of one study"),
    (
        [series("A", [90], n_total=5), series("B", [80], endpoint="PFS", n_total=9)],
        "B: reports PFS, and OS is asked for. Endpoints are not mixed",
    ),
    ([series("A", [90])], "OS: no study prints a percentage with its number of patients"),
    ({"study": ["A"], "survival": [0.5]}, "time_months is missing from study and survival"),
    (changed(endpoint=["OS", "OS", "PFS"]), "B, row 3: reports PFS, and OS is asked for"),
    (changed(endpoint=["OS", None, "OS"]), "A, row 2: endpoint must be a text such as 'OS'; got None"),
    (changed(endpoint=["OS"]), "endpoint must have one value for each of 3 rows; got 1"),
    (changed(study=["A", None, "B"]), "Row 2: study is missing"),
    (changed(study=["A", math.nan, "B"]), "Row 2: study is missing"),
    (changed(study=pd.array(["A", None, "B"], dtype="string")), "Row 2: study is missing"),
    (
        changed(survival=[0.7, 90, 0.8]),
        "A, row 2: survival must lie in [0, 1]; got 90. Divide percentages by 100.",
    ),
    (changed(survival=[0.7, 0.9, math.nan]), "B, row 3: survival must be a number in [0, 1]; got nan"),
    (changed(n_total=[0, 0, 40]), "A, row 1: n_total must be a whole number of patients; got 0"),
    (changed(n_total=[50, 50, 2.5]), "B, row 3: n_total must be a whole number of patients; got 2.5"),
    (changed(se=[0.05, 0.0, 0.04]), "A, row 2: se must be positive where 0 < survival < 1; got 0"),
    (changed(ci_lower=[0.6, 85, 0.7]), "A, row 2: ci_lower must lie in [0, 1]; got 85. Divide percent"),
    (changed(ci_lower=[0.6, 0.95, 0.7]), "A, row 2: ci_lower must not be above survival; got 0.95"),
    (changed(ci_upper=[0.8, 0.95, 0.7]), "B, row 3: ci_upper must not be below survival; got 0.7"),
    (changed(ci_level=[0.95, 95, 0.95]), "A, row 2: ci_level must lie between 0 and 1, such as 0.95"),
    (changed(time_months=[36, None, 12]), "A, row 2: time_months must be finite"),
    (
        changed(survival=[0.95, 0.9, 0.8]),
        "A: survival cannot rise; got 0.95 at 36 months after 0.9 at 12 months",
    ),
    (changed(time_months=[12.0, 12.0, 12.0]), "A: two values at 12 months"),
    (
        changed(time_months=[-1.0, 12.0, 12.0]),
        "A, row 1: time_months must be finite and not negative; got -1",
    ),
    (changed(n_total=[50.0, 40.0, 40.0]), "A: n_total must be one number; got 40 and 50"),
    (changed(n_total=[50.0, math.inf, 40.0]), "A, row 2: n_total must be finite"),
    (changed(n_total=[50.0, 50.0]), "n_total must have one value for each of 3 rows; got 2"),
    (changed(n_at_risk=[30, 20, np.nan]), "A: n_at_risk cannot rise, or pass n_total"),
    (changed(n_at_start=[20, 0, np.nan]), "A: nobody is at risk at the start; got 0"),
    (changed(n_at_start=[60, 60, np.nan]), "A: n_at_start cannot rise, or pass n_total"),
    (
        {"study": ["A"], "time_months": [12], "survival": [0.5], "n_at_risk": [9]},
        "call the column n_at_start",
    ),
    (
        {"study": ["A"] * 2, "time_months": [0, 12], "survival": [1, 0.9], "n_at_risk": [0, 0]},
        "A: nobody is at risk at the start; got 0",
    ),
    ({"study": ["A"], "time_months": [0], "survival": [0.9], "n_total": [9]}, "survival at time 0 must be 1"),
    ({"study": ["A"], "time_months": [0], "survival": [1], "n_total": [9]}, "no survival after time 0"),
]


@pytest.mark.parametrize(("data", "message"), WRONG, ids=[message[:40] for _, message in WRONG])
def test_data_that_cannot_be_right(data, message):
    with pytest.raises(InvalidInputError, match=re.escape(message)):
        read(data)


def test_a_review_alone_has_sets():
    with pytest.raises(InvalidInputError, match="sets are chosen from a Review"):
        read(COLUMNS, sets=["core"])


def test_a_cumulative_incidence_is_no_survival():
    reported = series(
        "A", [10, 20], endpoint=Endpoint("recurrence", "cumulative recurrence", "incidence"), n_total=9
    )
    review = Review((Study("A"),), survival=(reported,), endpoints=(reported.endpoint,))
    for data in ([reported], review):
        with pytest.raises(
            InvalidInputError, match=r"is a cumulative incidence, not a survival.* pool_proportions"
        ):
            read(data, reported.endpoint)


# --- intervals as columns


INTERVALS = {"ci_lower": [0.56, 0.78, 0.67], "ci_upper": [0.80, 0.95, 0.89]}


def test_columns_of_limits_tell_what_the_records_of_a_review_tell():
    columns = {name: column for name, column in COLUMNS.items() if name != "n_total"} | INTERVALS
    records = [
        series("A", ["90", "70"], (1, 3), ci_lower=["78", "56"], ci_upper=["95", "80"]),
        series("B", ["80"], (1,), ci_lower=["67"], ci_upper=["89"]),
    ]
    for one, other in zip(read(columns).studies, read(records).studies, strict=True):
        assert one.se == pytest.approx(other.se)
        assert np.isfinite(one.se).all()


def test_limits_of_a_survival_of_1_tell_nothing():
    """Neither is on the scale; that is no division by zero."""
    found = read(changed(survival=[0.7, 1.0, 0.8], ci_lower=[0.6, 1.0, 0.7], ci_upper=[0.8, 1.0, 0.9]))
    assert np.isnan(found.studies[0].se).tolist() == [True, False]


def test_limits_of_another_level_and_a_standard_error_that_is_given():
    level = 0.5
    half = norm.ppf(0.75)  # of a 50% interval, on the scale of survival itself
    s = np.array(COLUMNS["survival"])
    columns = changed(ci_lower=s - half * 0.04, ci_upper=s + half * 0.04, ci_level=[level] * 3)
    assert np.concatenate([study.se for study in read(columns).studies]) == pytest.approx([0.04] * 3)
    a, b = read({**columns, "se": [0.1, math.nan, math.nan]}).studies
    assert (a.se.tolist(), b.se.tolist()) == ([pytest.approx(0.04), 0.1], [pytest.approx(0.04)])


def test_digits_of_a_study_are_those_of_its_longest_figure():
    data = {"study": ["A", "A", "B"], "time_months": [12, 24, 12], "survival": [0.9, 0.705, 0.8]}
    a, b = read({**data, "n_total": [50] * 3}).studies
    assert (a.rounding, b.rounding) == (0.0005, 0.005)
    assert read([series("A", ["90.0", "70"], n_total=9)]).studies[0].rounding == pytest.approx(0.005)


# --- names of columns


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("n", "n_total"),
        ("N", "n_total"),
        ("N_total", "n_total"),
        ("n_atrisk", "n_at_risk"),
        ("ci_low", "ci_lower"),
        ("stderr", "se"),
        ("SE", "se"),
    ],
)
def test_a_column_whose_name_is_near_is_asked_about(name, meant):
    found = read(changed(**{name: [0.04] * 3}) if meant != "n_total" else changed_name(name))
    ((kind, message),) = [doubt for doubt in found.doubts if "column" in doubt[1]]
    assert kind is UnusableDataWarning
    assert message == f"the column {name!r} is not read: did you mean {meant!r}?"


def changed_name(name):
    """Sizes under another name, and standard errors so that the studies can be used."""
    rest = {key: column for key, column in COLUMNS.items() if key != "n_total"}
    return {**rest, name: COLUMNS["n_total"], "se": [0.05, 0.05, 0.05]}


@pytest.mark.parametrize(("name", "meant"), [("n", "n_total"), ("SE", "se")])
def test_where_nothing_can_be_used_the_near_names_are_told(name, meant):
    data = {key: column for key, column in COLUMNS.items() if key != "n_total"} | {name: [9, 9, 9]}
    said = f"needs no number. The column {name!r} is not read: did you mean {meant!r}?"
    with pytest.raises(InvalidInputError, match=re.escape(said)):
        read(data)


def test_other_columns_are_the_users_own():
    own = {"year": [2001] * 3, "author": ["a"] * 3, "sex": ["f"] * 3, "study_id": [1, 1, 2], "n": [50] * 3}
    assert read(changed(**own)).doubts == ()


# --- numbers at risk that cannot be


def test_numbers_at_risk_that_survival_does_not_leave_are_not_used():
    """Of 100 patients, of whom 90% (at most 90.5) live, at most 90 are at risk."""
    reported = series("X", ["90", "70", "50"], n_total=100, n_at_risk=[99, 98, 97])
    columns = {
        "study": ["X"] * 3,
        "time_months": [12, 36, 60],
        "survival": [0.9, 0.7, 0.5],
        "n_at_risk": [99, 98, 97],
        "n_total": [100] * 3,
    }
    at_start = {**columns, "n_at_start": [100, 99, 98]}
    del at_start["n_at_risk"], at_start["n_total"]
    for data, n in (([reported], 3), (columns, 3), (at_start, 2)):
        found = read(data)
        assert np.isnan(found.studies[0].n_at_risk).all()
        assert np.isfinite(found.studies[0].n_at_start).sum() == (data is at_start)
        assert [kind for kind, _ in found.doubts] == [UnusableDataWarning] * n
        assert found.doubts[0][1] == (
            "X: 99 at risk at 12 months, but survival of 90% leaves 90 at most of 100 patients, "
            "unless 9 or more died at exactly 12 months: this number at risk is not used"
        )


def test_a_number_at_risk_is_held_against_the_one_before():
    """60 at risk at 12 months with 80% alive, and 40% (to 40.5%) alive later: 60 x 0.405 / 0.795 = 30.6."""
    wrong = series("X", ["80", "40"], (1, 3), n_total=100, n_at_risk=[60, 39])
    found = read([wrong])
    ((_, message),) = found.doubts
    assert message.startswith(
        "X: 39 at risk at 36 months, but survival of 40% leaves 30 at most of 60 at risk at 12 months"
    )
    assert found.studies[0].n_at_risk[0] == 60
    right = series("X", ["80", "40"], (1, 3), n_total=100, n_at_risk=[60, 30])
    assert read([right]).doubts == ()


def test_deaths_at_the_landmark_and_rounding_are_no_contradiction():
    """With 19.5% dead of 100 in 12 months, three months' worth may have died at exactly that time."""
    for at_risk in (80, 81, 84):
        assert read([series("X", ["80"], (1,), n_total=100, n_at_risk=[at_risk])]).doubts == ()
    assert len(read([series("X", ["80"], (1,), n_total=100, n_at_risk=[90])]).doubts) == 1


def test_without_a_size_the_first_number_says_how_many_there_may_have_been():
    reported = series("X", ["80", "40"], (1, 3), n_at_risk=[60, 50])
    ((_, message),) = read([reported]).doubts
    assert "50 at risk at 36 months" in message


def test_nobody_at_risk_where_survival_falls_afterwards_is_an_empty_cell():
    at_risk = [0, 0, 0]
    reported = series("X", ["90", "70", "50"], n_total=100, n_at_risk=at_risk)
    columns = {
        "study": ["X"] * 3,
        "time_months": [12, 36, 60],
        "survival": [0.9, 0.7, 0.5],
        "n_at_risk": at_risk,
        "n_total": [100] * 3,
    }
    for data in ([reported], columns):
        found = read(data)
        assert np.isnan(found.studies[0].n_at_risk).all()
        assert [message for _, message in found.doubts] == [
            "X: 0 at risk at 12 months, but survival falls afterwards: this number at risk is not used",
            *(
                f"X: 0 at risk at {t} months, as at 12 months, though survival falls after that: this number at risk "
                "is not used"
                for t in (36, 60)
            ),
        ]


@pytest.mark.parametrize(
    ("percent", "at_risk"),
    [
        (["90", "70", "50"], [60, 30, 0]),  # all others are lost by the last time
        (["90", "70", "70"], [60, 0, 0]),
        (["90", "70", "69.9"], [60, 0, 0]),  # which 70 may have been
        (["90", "0", "0"], [60, 0, 0]),
    ],
)
def test_nobody_at_risk_may_be_true(percent, at_risk):
    found = read([series("X", percent, n_total=100, n_at_risk=at_risk)])
    assert found.doubts == ()
    assert found.studies[0].n_at_risk.tolist() == at_risk


@settings(max_examples=50)
@given(st.integers(0, 10_000))
def test_true_numbers_at_risk_are_never_doubted(seed):
    """Kaplan-Meier curves of patients one by one, with losses, counted just before or just after each landmark."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 200))
    death, loss = rng.exponential(40, n), rng.exponential(60, n)
    if seed % 2:
        death, loss = np.ceil(death), np.ceil(loss)  # in whole months, so that deaths fall on landmarks
    time, event = np.minimum(death, loss), death <= loss
    landmarks = np.array([12.0, 24.0, 36.0, 60.0])
    survival, before, after = [], [], []
    for t in landmarks:
        s = 1.0
        for u in np.unique(time[event & (time <= t)]):
            s *= 1 - (event & (time == u)).sum() / (time >= u).sum()
        survival.append(round(s, 2))
        before.append(int((time >= t).sum()))
        after.append(int((time > t).sum()))
    for at_risk in (before, after):
        if at_risk[0] == 0:
            continue
        data = {
            "study": ["X"] * 4,
            "time_months": landmarks,
            "survival": survival,
            "n_at_risk": at_risk,
            "n_total": [n] * 4,
        }
        assert read(data).doubts == ()


def test_the_fast_look_at_all_studies_finds_whom_the_slow_one_finds():
    rng = np.random.default_rng(5)
    studies = []
    for i in range(300):
        s = np.sort(rng.uniform(0, 1, 4))[::-1].round(2)
        n = float(rng.integers(10, 100))
        at_risk = np.where(rng.random(4) < 0.3, np.nan, np.floor(n * s * rng.uniform(0.5, 1.3)))
        at_risk[rng.random(4) < 0.03] = 0
        empty = np.full(4, np.nan)
        report = StudyReport(f"S{i}", np.array([12.0, 24, 36, 60]), s, n, at_risk, empty, empty)
        studies.append(report)
    wrong = {
        study.name
        for study in studies
        if impossible(
            study.time,
            np.maximum(study.survival - 0.005, 0),
            np.minimum(study.survival + 0.005, 1),
            study.n_total,
            study.n_at_risk,
        )
    }
    _, doubts = without_impossible(studies)
    assert 30 < len(wrong) < 270
    assert {message.partition(":")[0] for _, message in doubts} == wrong


def test_a_later_figure_that_is_higher_by_its_rounding_is_not():
    """50% and then 50.4% agree when 50% was rounded."""
    reported = series("X", ["50", "50.4"], (1, 3), n_total=100)
    assert read([reported]).studies[0].survival.tolist() == [0.5, 0.5]
