"""What is written is read back equal, in every form; what cannot be is refused before a file is touched."""

import csv
import io
import json
import warnings

import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from strategies import reviews

from netsynth.data.endpoint import ENDPOINTS, Endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.quality import Checklist, QualityAssessment
from netsynth.data.review import PublishedTarget, Review
from netsynth.data.selection import Exclusion
from netsynth.data.source import Source
from netsynth.data.study import Group, Study
from netsynth.data.survival import ReportedSurvival, ReportedTime, SurvivalPoint
from netsynth.errors import InvalidInputError, NetsynthWarning
from netsynth.io import read_review, table_frame, write_review
from netsynth.io.layout import TABLES

pytestmark = pytest.mark.filterwarnings(
    "ignore::netsynth.errors.NetsynthWarning"
)  # drawn reviews are doubtful
#: To shrink a whole review takes minutes.
UNSHRUNK = [phase for phase in Phase if phase not in (Phase.shrink, Phase.explain)]
FORMS = ["folder", "review.xlsx", "review.json"]


def representable(value, key=""):
    """The plain dict of a review without what tables cannot tell.

    That is semicolons in lists, and further columns that are empty or have the name of one of ours.
    """
    if isinstance(value, dict):
        return {name: representable(item, name) for name, item in value.items()}
    if key == "extra":
        return [[f"column {i}", text.replace(";", ",")] for i, (_, text) in enumerate(value) if text]
    if isinstance(value, list):
        return [representable(item) for item in value]
    return value.replace(";", ",") if isinstance(value, str) else value


@pytest.mark.parametrize("form", [*FORMS, "frames"])
@settings(max_examples=12, phases=UNSHRUNK)
@given(drawn=reviews())
def test_a_review_comes_back_equal(form, drawn, tmp_path_factory):
    try:
        review = Review.from_dict(representable(drawn.to_dict()))
    except InvalidInputError:  # two names that differed by a semicolon
        assume(False)
    checklists = {assessment.checklist for assessment in review.assessments}
    assume(len({checklist.name for checklist in checklists}) == len(checklists))
    if form == "frames":
        again = read_review({name: table_frame(review, name) for name in TABLES})
    else:
        target = tmp_path_factory.mktemp("review") / form
        assert write_review(review, target) == target
        again = read_review(target)
    assert again == review
    assert again.to_json() == review.to_json()


@settings(max_examples=15, phases=UNSHRUNK)
@given(reviews())
def test_what_tables_cannot_tell_is_refused_before_a_file_is_touched(tmp_path_factory, drawn):
    folder = tmp_path_factory.mktemp("review")
    try:
        write_review(drawn, folder / "out")
    except InvalidInputError as error:
        refusal = str(error)
    else:
        refusal = ""
    assert refusal == "" or "without loss; write JSON instead" in refusal
    assert (refusal == "") == (folder / "out").exists()


REVIEW = Review(
    (
        Study("a", n_patients=90, overlap=("b",), overlap_note="as b, same centre", extra=(("Grade", "G1"),)),
        Study("b", extra=(("Ki-67", "3"), ("Grade", "G2")), followup=ReportedNumber("3.50", "year", "~")),
    ),
    survival=(
        ReportedSurvival(
            "a",
            ENDPOINTS[0],
            (
                SurvivalPoint(
                    ReportedNumber("5", "year"),
                    ReportedNumber("83.0", "percent", "~"),
                    ReportedInterval.of("70.50", None, "percent", 0.9),
                    row_id="SV1",
                    notes=" =HYPERLINK('x')\n",
                ),
                SurvivalPoint(None, ReportedNumber("0.40", "probability")),
            ),
            Group("+resected", "arm", 40, "core", duplicate=True),
        ),
    ),
    times=(
        ReportedTime(
            "a",
            ENDPOINTS[0],
            "median",
            ReportedNumber("", "month", "not reached"),
            ci=ReportedInterval(
                ReportedNumber("21.0", "month"), ReportedNumber("", "month", "not reached"), None
            ),
        ),
    ),
    factors=(
        ReportedFactor("META_x", "grade", ENDPOINTS[0], analysis="pooled"),
        ReportedFactor("a", "age", ENDPOINTS[0], adjusted_for=("sex", "grade"), direction="none"),
        ReportedFactor("a", "margin", ENDPOINTS[0], "R1", "R0", events_by_level=(4, 9), n_by_level=(10, 20)),
        ReportedFactor("a", "site", ENDPOINTS[0], n_events=12),
    ),
    assessments=(
        QualityAssessment("a", Checklist("own", ("x", "y"), ("good", "poor"), (1, 0)), ("good", "poor")),
    ),
    sources=(Source("SRC1", citation="@cited"),),
    targets=(PublishedTarget("OS", ReportedNumber("70.50", "percent"), time=ReportedNumber("60", "month")),),
    endpoints=(*ENDPOINTS, Endpoint("LPFS", "liver PFS", synonyms=("LP", "liver-PFS"))),
    title="-Title",
    notes="'quoted'",
    excluded=(Exclusion("c", "too old", "published before 1990"),),
)


@pytest.mark.parametrize("form", FORMS)
def test_every_corner_of_a_review_survives(form, tmp_path):
    assert read_review(write_review(REVIEW, tmp_path / form)) == REVIEW


def test_csv_is_safe_in_a_spreadsheet_and_reading_takes_the_guard_off(tmp_path):
    write_review(REVIEW, tmp_path)
    cells = {
        (file.name, cell)
        for file in tmp_path.iterdir()
        for row in csv.reader(io.StringIO(file.read_text(encoding="utf-8"), newline=""))
        for cell in row
    }
    assert {("sources.csv", "'@cited"), ("survival.csv", "'+resected"), ("review.csv", "'-Title")} <= cells
    assert ("review.csv", "'quoted'") in cells  # an apostrophe of the text's own stays as it is
    assert {cell for _, cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))} == {"="}


def test_a_carriage_return_survives_where_the_form_can_hold_it(tmp_path):
    review = Review((Study("a", notes="one\r\ntwo\rthree"),))
    for form in ("folder", "review.json"):
        assert read_review(write_review(review, tmp_path / form)) == review
    with pytest.raises(
        InvalidInputError, match=r"without loss; write JSON instead\. What would change in studies"
    ):
        write_review(review, tmp_path / "review.xlsx")


def test_a_negative_number_is_no_formula(tmp_path):
    review = Review.from_dict(
        {
            "studies": [{"id": "a"}],
            "characteristics": [
                {"study": "a", "name": "log ratio", "mean": {"text": "-0.50", "unit": "log"}}
            ],
        }
    )
    assert read_review(write_review(review, tmp_path)) == review
    assert ",-0.50," in (tmp_path / "characteristics.csv").read_text()


def test_only_tables_with_something_to_say_are_written(tmp_path):
    write_review(Review((Study("a"),)), tmp_path / "new" / "folder")
    assert [file.name for file in (tmp_path / "new" / "folder").iterdir()] == ["studies.csv"]


def test_a_table_left_from_another_review_is_not_mixed_in(tmp_path):
    write_review(REVIEW, tmp_path)
    with pytest.raises(
        InvalidInputError, match=r"holds checklists.csv, .*, which this review would not replace"
    ):
        write_review(Review((Study("a"),)), tmp_path)
    assert read_review(tmp_path) == REVIEW


@pytest.mark.parametrize(
    ("study", "message"),
    [
        (
            Study(" a"),
            "This review cannot be written as tables without loss; write JSON instead. What would change in "
            "studies: Study(id=' a', first_author=''",
        ),
        (Study("a", sources=("x;y",)), "What would change in studies: Study(id='a', first_author=''"),
        (
            Study("a", notes="nul \0"),
            "Reading it back found: studies.csv, row 2: found a NUL byte; allowed: text; the file is damaged",
        ),
        (Study("a", notes="\ud800"), "studies.csv: '\\ud800' after ',,,,,,not stated,,,,' is no character"),
        (Study("a", extra=(("n", "5"),)), "found columns 'n_patients' and 'n', which both mean n_patients"),
    ],
)
def test_loss_is_refused(study, message, tmp_path):
    with pytest.raises(InvalidInputError) as error:
        write_review(Review((study,)), tmp_path / "out")
    assert message in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("study", "message"),
    [
        (
            Study("a", notes="x" * 32768),
            "studies: a text of 32768 characters does not fit a workbook; write CSV.",
        ),
        (
            Study("a", notes="bell \a"),
            "studies: 'bell \\x07' holds a character that no workbook can; write CSV or JSON.",
        ),
    ],
)
def test_what_no_workbook_holds_is_refused(study, message, tmp_path):
    with pytest.raises(InvalidInputError) as error:
        write_review(Review((study,)), tmp_path / "out.xlsx")
    assert str(error.value) == message
    assert list(tmp_path.iterdir()) == []
    assert read_review(write_review(Review((study,)), tmp_path / "out")) == Review((study,))


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(InvalidInputError) as error:
        write_review(REVIEW, tmp_path / "out.xls")
    assert str(error.value) == (
        f"{tmp_path / 'out.xls'} ends neither in .xlsx nor in .json; for CSV files name a folder that exists or has "
        "no ending."
    )


@given(data=st.data())
def test_further_columns_keep_their_order(data, tmp_path_factory):
    """Records that lack some of the columns do not shuffle those of the others."""
    names = [f"c{i}" for i in data.draw(st.permutations(range(5)))]
    studies = tuple(
        Study(f"s{i}", extra=tuple((name, "x") for name in names if data.draw(st.booleans())))
        for i in range(4)
    )
    folder = tmp_path_factory.mktemp("review")
    assert read_review(write_review(Review(studies), folder)).studies == studies


def test_json_holds_the_plain_dict_and_warnings_are_made_anew(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        review = Review(
            (Study("a", n_patients=10),),
            survival=(ReportedSurvival.from_percent("a", percent=[80], years=[5], n_total=20),),
        )
    assert review.warnings
    path = write_review(review, tmp_path / "review.json")
    assert json.loads(path.read_text(encoding="utf-8")) == review.to_dict()
    assert read_review(path, title="New").title == "New"
    assert read_review(path).warnings == review.warnings
