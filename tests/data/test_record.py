"""What every record can do, for every class of `netsynth.data`."""

import copy
import dataclasses
import importlib
import inspect
import json
import pickle
import pkgutil

import pytest
import strategies as records
from hypothesis import given, settings
from hypothesis import strategies as st

import netsynth.data
from netsynth.data._record import Record
from netsynth.data.characteristic import ReportedCharacteristic
from netsynth.data.endpoint import Endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.data.harmonise import FACTOR_MAP, FactorMap, FactorRule, HarmonisedResult
from netsynth.data.marker import CutPoint, MarkerScale
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.proportion import ReportedProportion
from netsynth.data.quality import Checklist, QualityAssessment
from netsynth.data.review import PublishedTarget, Review
from netsynth.data.selection import Candidate, Exclusion, Selection
from netsynth.data.source import Source
from netsynth.data.study import Group, Study
from netsynth.data.survival import ReportedSurvival, ReportedTime, SurvivalPoint
from netsynth.errors import InvalidInputError

STRATEGIES = {
    ReportedNumber: records.any_numbers(),
    ReportedInterval: records.intervals("month") | records.intervals("percent", level=0.9),
    Endpoint: records.endpoints(),
    Group: records.groups(),
    Study: records.studies(),
    SurvivalPoint: records.survival_points(),
    ReportedSurvival: records.reported_survival(),
    ReportedTime: records.reported_times(),
    ReportedProportion: records.proportions(),
    ReportedCharacteristic: records.characteristics(),
    ReportedFactor: records.factors(),
    Checklist: records.checklists(),
    QualityAssessment: records.assessments(),
    Source: records.sources(),
    PublishedTarget: records.targets(),
    Candidate: records.candidates(),
    Exclusion: records.exclusions(),
    Selection: records.selections(),
    FactorRule: st.sampled_from(FACTOR_MAP.rules),
    FactorMap: st.just(FACTOR_MAP),
    HarmonisedResult: records.factors().map(FACTOR_MAP.harmonised),
    MarkerScale: st.sampled_from(
        [
            MarkerScale.per_units(10, unit="<b>ng/mL</b>", sd=3.5),
            MarkerScale.per_sd(0.4),
            MarkerScale.per_fold(),
            MarkerScale.per_log_sd(),
            MarkerScale.extreme_groups(3),
            MarkerScale.split(70.5, unit="years"),
        ]
    ),
    CutPoint: st.builds(
        CutPoint,
        records.words(),
        records.words(),
        records.words(),
        st.sampled_from(["<", "<=", ">", ">="]),
        st.floats(0, 1000),
        records.notes(),
        st.booleans(),
    ),
    Review: records.reviews(),
}
CLASSES = pytest.mark.parametrize("kind", STRATEGIES, ids=lambda kind: kind.__name__)
lean = settings(max_examples=10)
doubtful = pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")


def test_every_record_class_is_tested():
    modules = [
        importlib.import_module(f"netsynth.data.{module.name}")
        for module in pkgutil.iter_modules(netsynth.data.__path__)
    ]
    found = {
        cls
        for module in modules
        for _, cls in inspect.getmembers(module, inspect.isclass)
        if issubclass(cls, Record) and cls is not Record
    }
    assert found == set(STRATEGIES)


@doubtful
@CLASSES
@lean
@given(data=st.data())
def test_nothing_is_lost_on_the_way_to_text_and_back(kind, data):
    record = data.draw(STRATEGIES[kind])
    for other in (
        kind.from_dict(record.to_dict()),
        kind.from_dict(json.loads(json.dumps(record.to_dict()))),
        kind.from_json(record.to_json()),
        kind.from_json(record.to_json(indent=2)),
        pickle.loads(pickle.dumps(record)),  # noqa: S301 - our own pickle
        copy.deepcopy(record),
    ):
        assert other == record
        assert hash(other) == hash(record)
        assert repr(other) == repr(record)
        assert str(other) == str(record)


@doubtful
@CLASSES
@lean
@given(data=st.data())
def test_markup_in_the_text_stays_text(kind, data):
    page = data.draw(STRATEGIES[kind])._repr_html_()
    assert page.startswith("<table>")
    assert page.endswith("</table>")
    assert "<b>" not in page


@CLASSES
@lean
@given(data=st.data())
def test_a_record_cannot_be_changed(kind, data):
    record = data.draw(STRATEGIES[kind])
    for field in dataclasses.fields(record):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(record, field.name, None)
    with pytest.raises((AttributeError, TypeError)):  # which of the two depends on the version of Python
        record.note = "new"
    assert not hasattr(record, "__dict__")


@lean
@given(records.studies(), records.studies())
def test_equality_is_by_value(one, other):
    assert (one == other) == (one.to_dict() == other.to_dict())
    assert one != dataclasses.replace(one, notes=one.notes + "!")


def test_lists_become_tuples():
    study = Study("a", overlap=["b"], sources=["S1"], extra=[["set", "core"]])
    assert (study.overlap, study.sources, study.extra) == (("b",), ("S1",), (("set", "core"),))
    assert study == Study("a", overlap=("b",), sources=("S1",), extra=(("set", "core"),))
    assert hash(study) == hash(Study.from_dict(study.to_dict()))


def test_only_what_differs_from_the_default_is_kept():
    assert Study("a", year=2010).to_dict() == {"id": "a", "year": 2010}
    assert Study("a").to_json() == '{"id": "a"}'
    assert ReportedNumber("83", "percent").to_dict() == {"text": "83", "unit": "percent"}


def test_json_keeps_letters_readable():
    assert Study("Łódź").to_json() == '{"id": "Łódź"}'


REFUSED = [
    (Study, [], "Study must be a mapping of fields; got []."),
    (
        Group,
        {"name": "all"},
        "Group has no field 'name'; its fields are label, role, n_total, evidence_set, duplicate.",
    ),
    (Study, {"year": 2010}, "Study needs the field 'id'."),
    (Study, {"id": 5}, "Study.id must be str; got 5."),
    (Study, {"id": "a", "year": "2010"}, "Study.year must be int; got '2010'."),
    (Study, {"id": "a", "year": True}, "Study.year must be int; got True."),
    (Study, {"id": "a", "year": 2010.0}, "Study.year must be int; got 2010.0."),
    (Study, {"id": "a", "overlap": "b"}, "Study.overlap must be a list; got 'b'."),
    (Study, {"id": "a", "overlap": [1]}, "Study.overlap[0] must be str; got 1."),
    (Study, {"id": "a", "extra": [["x"]]}, "Study.extra[0] must have 2 items; got 1."),
    (Study, {"id": "a", "followup": 5}, "ReportedNumber must be a mapping of fields; got 5."),
    (Study, {"id": "a", "followup": {"unit": "year"}}, "ReportedNumber needs the field 'text'."),
    (Group, {"role": "all"}, "group 'overall': role must be one of overall, arm, subgroup, comparator; got 'all'."),
    (Review, {"studies": [], "warnings": []}, "Review has no field 'warnings'; its fields are " + ", ".join(
        field.name for field in dataclasses.fields(Review) if field.init) + "."),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "data", "message"), REFUSED, ids=[message for *_, message in REFUSED])
def test_a_wrong_dict_is_refused(kind, data, message):
    with pytest.raises(InvalidInputError) as error:
        kind.from_dict(data)
    assert str(error.value) == message


def test_a_dict_may_hold_records_and_whole_numbers_for_decimals():
    followup = ReportedNumber("5", "year")
    assert Study.from_dict({"id": "a", "followup": followup}).followup is followup
    interval = {"lower": {"text": "1"}, "upper": None, "level": 1}
    with pytest.raises(InvalidInputError, match="level must be a fraction between 0 and 1"):
        ReportedInterval.from_dict(interval)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "{",
            "Study: not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1).",
        ),
        ("[]", "Study must be a mapping of fields; got []."),
        ('{"id": "a", "n_patients": NaN}', "Study.n_patients must be int; got nan."),
    ],
)
def test_wrong_json_is_refused(text, message):
    with pytest.raises(InvalidInputError) as error:
        Study.from_json(text)
    assert str(error.value) == message


def test_a_lone_text_is_not_a_list():
    with pytest.raises(InvalidInputError) as error:
        Study("a", overlap="mayo_2011")
    assert str(error.value) == "a: overlap must be a list or tuple; got 'mayo_2011'."
