"""Hypothesis strategies for the records a review is made of, and for whole reviews.

Everything drawn is valid by construction, so a refusal of what is drawn here is a bug.
"""

import warnings

from hypothesis import strategies as st

from netsynth.data.characteristic import ReportedCharacteristic
from netsynth.data.endpoint import ENDPOINTS, Endpoint
from netsynth.data.factor import ANALYSES, DIRECTIONS, SIGNIFICANCES, ReportedFactor, zero_problem
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.proportion import ReportedProportion
from netsynth.data.quality import JBI_CASE_SERIES, MINORS, QUIPS, Checklist, QualityAssessment
from netsynth.data.review import PublishedTarget, Review
from netsynth.data.selection import Candidate, Exclusion, Selection
from netsynth.data.source import Source
from netsynth.data.study import ROLES, Group, Study
from netsynth.data.survival import ReportedSurvival, ReportedTime, SurvivalPoint
from netsynth.errors import NetsynthWarning

TIME_UNITS = ("month", "year", "week", "day")
LOS = Endpoint("LOS", "liver-only survival", synonyms=("liver survival",))
VOCABULARY = (*ENDPOINTS, LOS)


def words():
    """Text that is not blank, in any script, with quotes, markup and formulas among it."""
    tricky = st.sampled_from(["=1+1", "<b>&amp;", 'a "b"', "5–10 %", "Łódź", "a_b", "µ; x, y", "_", "-0.5"])
    return tricky | st.text(
        st.characters(exclude_categories=("C", "Z"), max_codepoint=0x2FFF), min_size=1, max_size=8
    )


def notes():
    return st.just("") | words()


def extras():
    return st.lists(st.tuples(words(), words()), max_size=2).map(tuple)


#: Where a figure stands: drawn whole, because a review has many figures.
ABOUT = st.sampled_from(
    [
        {},
        {"source": "SRC1", "row_id": "SV001"},
        {"source": "Łódź & co.", "row_id": "=1+1", "notes": 'a "b"', "extra": (("set", "<b>"), ("_", ""))},
    ]
)


def counts(least=1, most=2000):
    return st.integers(least, most)


@st.composite
def numbers(draw, unit="percent", *, low=0, high=100, qualifiers=("=",), decimals=2):
    """A number within [low, high] with up to `decimals` printed decimals."""
    places = draw(st.integers(0, decimals))
    scaled = draw(st.integers(low * 10**places, high * 10**places))
    sign = "-" if scaled < 0 else ""
    digits = f"{abs(scaled):0{places + 1}d}"
    text = f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"
    return ReportedNumber(text, unit, draw(st.sampled_from(qualifiers)))


def any_numbers():
    """Numbers of every unit and qualifier, "not reached" among them."""
    signs = ("=", "<", "<=", ">", ">=", "~")
    return st.one_of(
        numbers("percent", qualifiers=signs),
        numbers("probability", high=1, qualifiers=signs, decimals=3),
        numbers("pvalue", high=1, qualifiers=signs, decimals=4),
        numbers("ratio", high=50, qualifiers=signs),
        numbers("count", high=500, decimals=0),
        numbers("kg/m2", low=-40, high=40, qualifiers=signs),
        numbers("", low=-40, high=40, qualifiers=signs),
        st.sampled_from(TIME_UNITS).flatmap(lambda unit: numbers(unit, high=300, qualifiers=signs)),
        st.sampled_from(TIME_UNITS).map(lambda unit: ReportedNumber("", unit, "not reached")),
    )


@st.composite
def intervals(draw, unit="month", *, around=None, high=100, level=None):
    """Limits in order; with `around` they enclose that number. One end may be missing."""
    ends = sorted(draw(st.tuples(numbers(unit, high=high), numbers(unit, high=high))), key=lambda n: n.value)
    if around is not None:
        ends = [min(ends[0], around, key=lambda n: n.value), max(ends[1], around, key=lambda n: n.value)]
    missing = draw(st.sampled_from([None, None, 0, 1]))
    lower, upper = (None if i == missing else end for i, end in enumerate(ends))
    return ReportedInterval(lower, upper, level)


def endpoints():
    return st.sampled_from(VOCABULARY)


def groups(size=None):
    """A group; `size` bounds its patients."""
    return st.builds(
        Group,
        label=st.sampled_from(["overall", "resected", "curative, R0"]),
        role=st.sampled_from(ROLES),
        n_total=st.none() | counts(most=size or 500),
        evidence_set=st.sampled_from(["", "core", "newer"]),
        duplicate=st.booleans(),
    )


def sources():
    return st.builds(
        Source,
        id=words(),
        citation=notes(),
        pmid=st.just("") | st.integers(1, 10**8).map(str),
        doi=st.just("") | st.sampled_from(["10.1002/sim.1482", "10.1016/j.suronc.2012.05.001"]),
        url=st.just("") | st.just("https://example.org/a?b=c"),
        kind=notes(),
        extra=extras(),
    )


@st.composite
def studies(draw, study_id=None, overlap=(), source_ids=()):
    treated, further = draw(counts()), draw(counts(0))
    years = sorted(draw(st.tuples(st.integers(1950, 2030), st.integers(1950, 2030))))
    missing = st.booleans()
    return Study(
        draw(words()) if study_id is None else study_id,
        first_author=draw(notes()),
        year=draw(st.none() | st.integers(1950, 2030)),
        country=draw(notes()),
        design=draw(notes()),
        centres=draw(notes()),
        population=draw(notes()),
        enrolment_start=None if draw(missing) else years[0],
        enrolment_end=None if draw(missing) else years[1],
        n_patients=None if draw(missing) else treated + further,
        n_treated=None if draw(missing) else treated,
        followup=draw(st.none() | st.sampled_from(TIME_UNITS).flatmap(lambda u: numbers(u, high=200))),
        followup_statistic=draw(st.sampled_from(["median", "mean", "not stated"])),
        overlap=tuple(overlap),
        overlap_note=draw(notes()),
        sources=tuple(draw(st.lists(st.sampled_from(source_ids), unique=True))) if source_ids else (),
        notes=draw(notes()),
        extra=draw(extras()),
    )


@st.composite
def survival_points(draw, time=None, share=None, n_at_risk=None):
    share = draw(numbers("percent")) if share is None else share
    return SurvivalPoint(
        draw(st.none() | numbers("year", low=1, high=20)) if time is None else time,
        share,
        draw(st.none() | intervals(share.unit, around=share, level=0.95)),
        n_at_risk,
        **draw(ABOUT),
    )


@st.composite
def reported_survival(draw, study=None, endpoint=None, group=None):
    endpoint = draw(endpoints()) if endpoint is None else endpoint
    group = draw(groups()) if group is None else group
    months = draw(st.lists(st.sampled_from([12, 20, 36, 60, 96, 120]), min_size=1, max_size=4, unique=True))
    shares = sorted(
        (draw(numbers("percent", decimals=1)) for _ in months),
        key=lambda number: number.value,
        reverse=endpoint.kind == "survival",
    )
    size = group.n_total or 500
    at_risk = sorted((draw(st.none() | st.integers(0, size)) or 0 for _ in months), reverse=True)
    shown = draw(st.booleans())
    points = [
        draw(survival_points(_landmark(draw, time), share, n if shown else None))
        for time, share, n in zip(sorted(months), shares, at_risk, strict=True)
    ]
    untimed = draw(st.lists(numbers("percent").map(lambda share: SurvivalPoint(None, share)), max_size=1))
    points = draw(st.permutations([*points, *untimed]))
    events = draw(st.none() | st.integers(0, size))
    return ReportedSurvival(draw(words()) if study is None else study, endpoint, tuple(points), group, events)


def _landmark(draw, months):
    if months % 12 == 0 and draw(st.booleans()):
        return ReportedNumber(str(months // 12), "year")
    return ReportedNumber(str(months), "month")


@st.composite
def reported_times(draw, study=None, endpoint=None, group=None):
    unit = draw(st.sampled_from(["month", "year", ""]))
    value = draw(
        st.just(ReportedNumber("", unit, "not reached"))
        | numbers(unit, high=200, qualifiers=("=", "~", ">", ">="))
    )
    around = value if value.text else None
    return ReportedTime(
        draw(words()) if study is None else study,
        draw(endpoints()) if endpoint is None else endpoint,
        draw(st.sampled_from(["median", "mean"])),
        value,
        draw(groups()) if group is None else group,
        ci=draw(st.none() | intervals(unit, around=around, high=200, level=0.95)),
        range=draw(st.none() | intervals(unit, around=around, high=200)),
        iqr=draw(st.none() | intervals(unit, around=around, high=200)),
        sd=draw(st.none() | numbers(unit, high=50)),
        **draw(ABOUT),
    )


@st.composite
def proportions(draw, study=None, outcome=None, group=None):
    n_total = draw(counts(most=300))
    n_events = draw(st.integers(0, n_total))
    printed = ReportedNumber(f"{100 * n_events / n_total:.1f}", "percent")
    form = draw(st.sampled_from(["counts", "both", "share", "share of n"]))
    has_counts = form in ("counts", "both")
    return ReportedProportion(
        draw(words()) if study is None else study,
        draw(st.sampled_from(["mortality", "symptom_relief"])) if outcome is None else outcome,
        n_events=n_events if has_counts else None,
        n_total=None if form == "share" else n_total,
        share=None if form == "counts" else printed,
        group=draw(groups()) if group is None else group,
        definition=draw(notes()),
        basis=draw(st.sampled_from(["reported", "computed"])),
        **draw(ABOUT),
    )


@st.composite
def characteristics(draw, study=None, name=None, group=None):
    unit = draw(st.sampled_from(["year", "cm", ""]))
    low, q1, middle, q3, high = sorted(
        draw(st.tuples(*[numbers(unit, high=99)] * 5)), key=lambda number: number.value
    )
    parts = draw(st.sets(st.sampled_from(["median", "mean", "sd", "range", "iqr"]), min_size=1))
    return ReportedCharacteristic(
        draw(words()) if study is None else study,
        draw(st.sampled_from(["age", "tumour size"])) if name is None else name,
        median=middle if "median" in parts else None,
        mean=middle if "mean" in parts else None,
        sd=q1 if "sd" in parts else None,
        range=ReportedInterval(low, high) if "range" in parts else None,
        iqr=ReportedInterval(q1, q3) if "iqr" in parts else None,
        group=draw(groups()) if group is None else group,
        **draw(ABOUT),
    )


@st.composite
def factors(draw, study=None, group=None):
    ratio = draw(st.none() | numbers("ratio", high=20).filter(lambda number: not zero_problem(number)))
    pvalues = numbers("pvalue", high=1, decimals=3, qualifiers=("=", "<", ">", "~"))
    levels = draw(st.sampled_from([("", ""), ("present", "absent"), ("R1", "R0")]))
    group = draw(groups()) if group is None else group
    most = 40 if group.n_total is None else group.n_total // 2
    events = draw(st.none() | st.tuples(st.integers(0, most), st.integers(0, most)))
    return ReportedFactor(
        draw(words()) if study is None else study,
        draw(st.sampled_from(["extrahepatic disease", "grade"])),
        draw(endpoints()),
        *levels,
        analysis=draw(st.sampled_from([analysis for analysis in ANALYSES if analysis != "pooled"])),
        hazard_ratio=ratio,
        ci=None if ratio is None else draw(st.none() | intervals("ratio", around=ratio, high=40, level=0.95)),
        hazard_ratio_for=draw(st.sampled_from(["", *filter(None, levels)])),
        pvalue=draw(st.none() | pvalues.filter(lambda number: not zero_problem(number))),
        direction=draw(st.sampled_from(DIRECTIONS)),
        significance=draw(st.sampled_from(SIGNIFICANCES)),
        adjusted_for=draw(st.lists(words(), max_size=2).map(tuple)),
        group=group,
        n_events=draw(st.integers(0, most)) if events is None and draw(st.booleans()) else None,
        events_by_level=events,
        n_by_level=draw(st.none() | st.just((most, most))),
        **draw(ABOUT),
    )


@st.composite
def checklists(draw):
    items = draw(st.lists(words(), min_size=1, max_size=4, unique=True))
    ratings = draw(st.lists(words(), min_size=1, max_size=3, unique=True))
    scores = draw(st.just([]) | st.lists(st.integers(-2, 3), min_size=len(ratings), max_size=len(ratings)))
    optional = draw(st.lists(st.sampled_from(items), unique=True))
    return Checklist(
        draw(words()), tuple(items), tuple(ratings), tuple(scores), tuple(optional), draw(notes())
    )


@st.composite
def assessments(draw, study=None):
    checklist = draw(st.sampled_from([MINORS, QUIPS, JBI_CASE_SERIES]) | checklists())
    ratings = [
        draw(
            st.sampled_from(
                ("", *checklist.ratings) if item in checklist.comparative_items else checklist.ratings
            )
        )
        for item in checklist.items
    ]
    study = draw(words()) if study is None else study
    return QualityAssessment(study, checklist, tuple(ratings), draw(notes()), draw(notes()))


def targets():
    return st.builds(
        PublishedTarget,
        outcome=st.sampled_from(["OS", "PFS", "symptom_relief"]),
        median=numbers("percent"),
        range=st.none() | intervals("percent"),
        time=st.none() | numbers("year", low=1, high=10, decimals=0),
        source=notes(),
        extra=extras(),
    )


def exclusions():
    return st.builds(Exclusion, words(), words(), words(), notes(), notes())


def candidates():
    return st.builds(
        Candidate,
        words(),
        numbers("percent"),
        groups(),
        st.none() | counts(),
        notes(),
        notes(),
        st.tuples(st.integers(0, 9), st.integers(0, 9)),
        notes(),
    )


def selections():
    lists = (st.lists(strategy, max_size=3).map(tuple) for strategy in (candidates(), exclusions()))
    return st.builds(Selection, words(), words(), *lists)


def _one_each(records, *names):
    """Records without those that repeat what a review allows only once."""
    return tuple({tuple(getattr(record, name) for name in names): record for record in records}.values())


@st.composite
def reviews(draw, max_studies=4, max_records=2):
    """A whole review; studies may share patients and medians may contradict percentages."""
    ids = draw(st.lists(words(), min_size=1, max_size=max_studies, unique=True))
    read = draw(st.lists(sources(), max_size=2, unique_by=lambda source: source.id))
    source_ids = [source.id for source in read]
    held = []
    for study_id in ids:
        others = draw(st.lists(st.sampled_from(ids), max_size=1))
        overlap = [other for other in others if other != study_id]
        held.append(draw(studies(study_id, overlap, source_ids)))

    def some(strategy):
        return draw(st.lists(st.sampled_from(ids).flatmap(strategy), max_size=max_records))

    few = st.sampled_from([ENDPOINTS[0], ENDPOINTS[2], LOS])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)  # a doubtful review is a review
        return Review(
            tuple(held),
            _one_each(
                some(lambda s: few.flatmap(lambda e: reported_survival(s, e))), "study", "endpoint", "group"
            ),
            _one_each(
                some(lambda s: few.flatmap(lambda e: reported_times(s, e))),
                *("study", "endpoint", "statistic", "group"),
            ),
            _one_each(some(proportions), "study", "outcome", "definition", "group"),
            _one_each(some(characteristics), "study", "name", "group"),
            _one_each(
                some(factors),
                *("study", "factor", "endpoint", "adverse_level", "reference_level", "analysis", "group"),
            ),
            tuple({(a.study, a.checklist.name, a.assessor): a for a in some(assessments)}.values()),
            tuple(read),
            tuple(draw(st.lists(targets(), max_size=2))),
            VOCABULARY,
            draw(notes()),
            draw(notes()),
            tuple(draw(st.lists(exclusions(), max_size=1))),
        )
