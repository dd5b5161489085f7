import math
import re
import warnings
from collections import Counter
from dataclasses import replace
from statistics import NormalDist

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsynth.data.endpoint import ENDPOINTS, find_endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.data.harmonise import FactorMap, FactorRule
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.review import Review
from netsynth.data.study import Group, Study
from netsynth.datasets import load_nethm
from netsynth.errors import (
    ChosenCutPointWarning,
    HarmonisationWarning,
    ImputedVarianceWarning,
    InconsistentReportWarning,
    InvalidInputError,
    OverlapWarning,
)
from netsynth.prognostic import summarize_factors
from netsynth.pvalues import combine_pvalues
from netsynth.results.directions import DirectionCount
from netsynth.votes import count_votes

OS, DFS, RFS = map(find_endpoint, ("OS", "DFS", "RFS"))
Z95 = NormalDist().inv_cdf(0.975)


@pytest.fixture(scope="module")
def nethm():
    return summarize_factors(load_nethm())


def factor(
    study, hr=None, ci=None, p=None, *, name="grade", levels=("poor", "well"), endpoint=OS, n=None, **more
):
    """A result of one study, numbers as printed; significant unless told otherwise."""
    sign = p[0] if p and p[0] in "<>" else "="
    return ReportedFactor(
        study,
        name,
        endpoint,
        *levels,
        analysis=more.pop("analysis", "multivariable"),
        hazard_ratio=None
        if hr is None
        else ReportedNumber(hr.lstrip("<"), "ratio", "<" if hr[0] == "<" else "="),
        ci=None if ci is None else ReportedInterval.of(*ci, "ratio", 0.95),
        pvalue=None if p is None else ReportedNumber(p.lstrip("<>"), "pvalue", sign),
        significance=more.pop("significance", "yes"),
        group=Group(n_total=n),
        **more,
    )


def review(*factors, **overlap):
    """A review of the studies that the results name; `overlap` gives those that share patients."""
    names = sorted({result.study for result in factors if result.analysis != "pooled"})
    return Review(tuple(Study(name, overlap=overlap.get(name, ())) for name in names), factors=factors)


def around(hr):
    """A ratio and a 95% interval of a factor 1.8 to both sides, with four decimals."""
    return f"{hr:.4f}", (f"{hr / 1.8:.4f}", f"{hr * 1.8:.4f}")


# -- the packaged review ---------------------------------------------------------------------------------
# Row ids counted here were read from the file by hand. Of consortium studies that share patients the largest is
# counted: Ejaz 2018 (612) before Zhang 2017 (481), pnet421_nd, Xiang 2018, Xiang 2020 and g1early_nd.

COUNTED = {
    ("completeness of resection", "OS"): "PG008 PG014 PG021 PG023 PG029 PG032 PG042 PG046",
    (
        "completeness of resection",
        "any",
    ): "PG008 PG010 PG014 PG015 PG021 PG023 PG029 PG030 PG032 PG042 PG046",
    ("extrahepatic disease", "OS"): "PG003 PG012 PG050",
    ("histologic grade", "OS"): "PG011 PG038 PG066",
    ("histologic grade", "RFS"): "PG053",
    ("lymph node metastasis", "any"): "PG044",
    ("primary site: pancreas", "any"): "PG016 PG043 PG071",
    ("primary site: lung or thymus", "OS"): "PG006 PG031",
    ("liver resection", "OS"): "PG005 PG019 PG026 PG027 PG028 PG067",
    ("hormonal function", "any"): "PG002 PG056",
    ("Ki-67 index", "any"): "PG033 PG034",
    ("primary tumour resection", "OS"): "PG013 PG048",
    ("age", "any"): "PG035 PG041",
}


@pytest.mark.parametrize(("name", "endpoint"), COUNTED)
def test_results_counted_in_the_packaged_review(nethm, name, endpoint):
    counted = nethm.row(name, endpoint).counted
    assert " ".join(sorted(result.row_id for result in counted)) == COUNTED[name, endpoint]


# Worse, better, not stated, inferred, from the rows above: only PG003 and PG053 print a ratio, no row a direction. p of
# u of q by hand, 2 * sum C(q, i) / 2**q, of the stated ones; its bounds with all that are inferred or unknown on one
# side, or half on each.
@pytest.mark.parametrize(
    ("name", "endpoint", "counts", "pvalue", "bounds"),
    [
        ("completeness of resection", "OS", (7, 0, 1, 7), math.nan, (2 / 2**8, 1.0)),
        ("completeness of resection", "any", (10, 0, 1, 10), math.nan, (2 / 2**11, 1.0)),
        ("extrahepatic disease", "OS", (3, 0, 0, 2), 1.0, (2 / 2**3, 1.0)),
        ("histologic grade", "any", (3, 0, 1, 2), 1.0, (2 / 2**4, 1.0)),
        ("liver resection", "OS", (5, 0, 1, 5), math.nan, (2 / 2**6, 1.0)),
        ("age", "any", (0, 1, 1, 1), math.nan, (0.5, 1.0)),
        ("sex", "OS", (0, 0, 1, 0), math.nan, (1.0, 1.0)),
    ],
)
def test_directions_of_the_packaged_review(nethm, name, endpoint, counts, pvalue, bounds):
    found = nethm.row(name, endpoint).directions
    assert (found.n_worse, found.n_better, found.n_not_stated, found.n_inferred) == counts
    assert found.pvalue == pytest.approx(pvalue, rel=1e-12, nan_ok=True)
    assert found.pvalue_bounds == pytest.approx(bounds, rel=1e-12)


def test_what_the_published_review_concluded_is_told_with_its_counts(nethm):
    lines = {line.split(" (")[0]: line for line in nethm.narrative().splitlines()}
    extrahepatic = (
        nethm.row("extrahepatic disease", "OS").ratios("adjusted").words().removesuffix(" from one study")
    )
    grade = (
        nethm.row("histologic grade", "RFS").ratios("adjusted").words("RFS").removesuffix(" from one study")
    )
    assert extrahepatic.startswith("adjusted HR 3.0")
    assert grade.startswith("adjusted HR for RFS 1.6")
    assert lines["Extrahepatic disease"] == (
        "Extrahepatic disease (present vs absent; OS): 3 studies (413 patients in the 2 that state them); "
        "worse in 1 of 1 study with a stated direction; direction inferred from a significant result in 2 (worse in "
        "2), so p is anything from 0.25 to 1; significant in 3 of 3; "
        f"{extrahepatic} from one study; no usable adjusted HR in 2 studies."
    )
    assert lines["Histologic grade"] == (
        "Histologic grade (higher vs lower; any of OS, RFS): 4 studies (573 patients); worse in 1 of 1 study "
        "with a stated direction; direction not stated in 1 and inferred from a significant result in 2 (worse in 2), "
        f"so p is anything from 0.12 to 1; significant in 2 of 4; {grade} from one study."
    )
    assert lines["Completeness of resection"] == (
        "Completeness of resection (incomplete vs complete; any of OS, PFS, DFS, recurrence, "
        "late recurrence, early intrahepatic recurrence): 11 studies (1157 patients in the 10 that state them); "
        "no direction stated in 11 studies; direction inferred from a significant result in 10 (worse in 10), by the "
        "level it names as adverse, which no test can rest on; "
        "significant in 10 of 11; adjusted HR for late recurrence 3.9 (1.4–10.5) from one study, g1early_nd, not among "
        "those counted, since it may share patients; "
        "2 further studies not counted because patients may be shared."
    )


def in_frames(summary):
    """Every number that the frames hold, as a sentence rounds it; worked out here from the frames alone."""
    numbers = set()
    whole = ("k", "n_", "k_")
    for frame in (summary.summary_frame(), summary.pooled_frame()):
        for name in frame.columns:
            for value in frame[name].dropna():
                if isinstance(value, str):
                    numbers.update(re.findall(r"\d+(?:\.\d+)?", value))
                elif name.startswith(whole) or float(value).is_integer():
                    numbers.add(str(int(value)))
                if not isinstance(value, str) and not name.startswith(whole):
                    x = float(value)
                    ratio = f"{x:.3f}" if x < 0.0995 else f"{x:.2f}" if x < 99.95 else f"{x:.1f}"
                    p = (
                        "0.001"
                        if x < 0.001
                        else "0.99"
                        if x > 0.99
                        else f"{x:.3f}"
                        if x < 0.0995
                        else f"{x:.2f}"
                    )
                    numbers |= {ratio, p, f"{100 * x:.0f}"}
    rows = summary.summary_frame()
    for first, second in (("n_worse", "n_better"), ("n_significant", "n_not_significant")):
        numbers.update(str(n) for n in rows[first] + rows[second])  # "in 3 of 4"
    evidence = summary.evidence_frame()
    stating = evidence[evidence.counted & evidence.n_patients.notna()]
    for name in summary.factors:
        counted = {r.row_id for r in summary.row(name).counted if r.n_patients is not None}
        numbers.add(str(int(stating[stating.factor == name].row_id.isin(counted).sum())))
        numbers.add(str(len(counted)))
    return numbers


def check_numbers(summary):
    for factor_, line in zip(summary.factors, summary.narrative().splitlines(), strict=True):
        body = line
        for row in summary.rows:
            for label in (r.label for r in row.results if len(r.label) > 1):
                body = body.replace(label, "")
            for name in (row.factor, row.levels, row.endpoint.replace("_", " "), "95% CI", "95% PI"):
                body = body.replace(name, "").replace(f"{name[:1].upper()}{name[1:]}", "") if name else body
        found = re.findall(r"\d+(?:\.\d+)?", body)
        assert found or summary.row(factor_).k == 1
        assert not set(found) - in_frames(summary), line


def test_every_number_of_the_narrative_stands_in_a_frame(nethm):
    check_numbers(nethm)


def test_results_of_other_meta_analyses_are_kept_out(nethm):
    assert {(e.study, e.row_id, e.kind) for e in nethm.excluded} == {
        ("META_bacchetti_2013", "PG072", "pooled result"),
        ("META_bacchetti_2013", "PG073", "pooled result"),
        ("META_bacchetti_nd", "PG074", "pooled result"),
    }


def test_every_row_of_the_file_is_somewhere(nethm):
    rows = [row for row in nethm.rows if row.endpoint != "any"]
    placed = Counter(result.row_id for row in rows for result in row.results)
    placed.update(exclusion.row_id for exclusion in nethm.excluded)
    assert placed == Counter(f"PG{i:03d}" for i in range(1, 75))
    assert sum(name.n_results for name in nethm.mapping) == 71


def test_names_that_no_rule_knows_are_listed(nethm):
    assert {name.printed_factor for name in nethm.unmapped} == {
        "extent of disease",
        "interval from primary resection to hepatic metastases",
        "need for repeat ablation",
        "postoperative complications",
        "timing of recurrence",
        "treatment",
        "tumour type",
    }


def test_the_packaged_review_raises_no_doubt_and_pools_nothing(nethm):
    """No factor has two independent hazard ratios for one endpoint; other tests pool made-up ones."""
    assert nethm.warnings == ()
    assert all(ratios.pooled is None for row in nethm.rows for ratios in row.hazard_ratios)


def test_grade_against_well_twice_is_one_study(nethm):
    row = nethm.row("histologic grade", "RFS")
    assert [result.row_id for result in row.results] == ["PG052", "PG053"]
    assert (
        row.results[0].left_out
        == "poor vs well (RFS, multivariable, n = 279) of the same study was preferred"
    )


def test_overlapping_studies_can_be_kept():
    with pytest.warns(OverlapWarning) as caught:
        kept = summarize_factors(load_nethm(), endpoints=["OS", "RFS"], overlap="keep")
    assert sorted(str(warning.message) for warning in caught) == [
        "extent of liver resection: Xiang 2020 and extent_jogs_2018 may share patients and are all counted",
        "primary site: pancreas: Xiang 2020 and pnet421_nd may share patients and are all counted",
    ]
    pancreas = kept.row("primary site: pancreas")
    assert {result.study for result in pancreas.counted} == {"xiang_2020", "pnet421_nd", "debulk_ncdb_2023"}
    assert (pancreas.n_overlapping, {row.endpoint for row in kept.rows}) == (0, {"any", "OS", "RFS"})


# -- pooled hazard ratios --------------------------------------------------------------------------------

PRINTED = [("A", "1.85", ("1.20", "2.85")), ("B", "1.40", ("1.05", "1.87")), ("C", "3.1", ("1.1", "8.7"))]


def test_pooled_ratio_by_hand():
    """DerSimonian-Laird and Wald written out with math only."""
    summary = summarize_factors(
        review(*(factor(*case) for case in PRINTED)), tau2_method="DL", ci_method="wald"
    )
    y, v = [], []
    for _, hr, (low, high) in PRINTED:
        unit = 10.0 ** -len(hr.split(".")[1])
        y.append(math.log(float(hr)))
        v.append((math.log(float(high) / float(low)) / 2 / Z95) ** 2 + (unit / float(hr)) ** 2 / 12)
    w = [1 / x for x in v]
    fixed = sum(a * b for a, b in zip(w, y, strict=True)) / sum(w)
    q = sum(a * (b - fixed) ** 2 for a, b in zip(w, y, strict=True))
    tau2 = max(0.0, (q - 2) / (sum(w) - sum(a * a for a in w) / sum(w)))
    w = [1 / (x + tau2) for x in v]
    mean, se = sum(a * b for a, b in zip(w, y, strict=True)) / sum(w), sum(w) ** -0.5
    pooled = summary.row("histologic grade", "OS").ratios("adjusted").pooled
    assert (pooled.k, pooled.study) == (3, ("A", "B", "C"))
    assert pooled.estimate == pytest.approx(mean, rel=1e-10)
    assert pooled.se == pytest.approx(se, rel=1e-10)
    assert pooled.tau2 == pytest.approx(tau2, rel=1e-9, abs=1e-12)
    assert pooled.confidence_interval() == pytest.approx((mean - Z95 * se, mean + Z95 * se), rel=1e-9)
    shown = "{:.2f} (95% CI {:.2f}–{:.2f})".format(*(math.exp(mean + z * se) for z in (0, -Z95, Z95)))
    assert str(summary.row("histologic grade", "OS").ratios("adjusted")) == (
        f"adjusted HR {shown} pooled from 3 studies"
    )
    assert f"; adjusted HR {shown[:-1]}; " in summary.narrative()


def narrated(*results):
    summary = quietly(review(*results))
    check_numbers(summary)
    (line,) = summary.narrative().splitlines()
    return line


def test_a_pooled_ratio_is_told_with_its_doubt():
    agree = [factor(study, hr, ci, n=100) for study, hr, ci in PRINTED]
    line = narrated(*agree, factor("D", n=50, significance="no"))
    assert "4 studies (350 patients)" in line
    assert "95% PI" in line
    i2 = quietly(review(*agree)).pooled("histologic grade", "OS").i2
    assert f"I² {100 * i2:.0f}%" in line
    assert "pooled from 3 studies, 300 patients" in line
    assert "no usable adjusted HR in 1 study, not significant" in line


def test_the_narrative_claims_no_more_than_its_data():
    flat = [
        factor(study, *around(hr), significance="no") for study, hr in (("A", 1.1), ("B", 1.0001), ("C", 1.2))
    ]
    wide = narrated(*flat)
    assert wide.endswith("pooled from 3 studies, compatible with no difference.")
    assert narrated(*flat[:2]).endswith(
        "pooled from 2 studies, compatible with no difference; by mHK, a t interval with one degree of freedom, two "
        "studies tell little."
    )
    wald = quietly(review(*flat[:2]), ci_method="wald")
    assert wald.narrative().endswith("pooled from 2 studies, compatible with no difference.")
    apart = [factor(f"S{i}", *around(hr)) for i, hr in enumerate((1.9, 4.5, 1.9, 2.4, 3.9))]
    assert "no difference or the opposite possible in a new study" in narrated(*apart)
    strong = [factor(f"S{i}", *around(hr)) for i, hr in enumerate((2.9, 3.0, 3.1, 3.0, 2.95))]
    certain = narrated(*strong)
    assert "evidence" not in certain
    assert "possible" not in certain
    one = narrated(factor("A", *around(2.0), n=80))
    assert one.startswith(
        "Histologic grade (higher vs lower; OS): one study (80 patients); worse with the first level"
    )
    assert "sign test" not in one
    for line in (wide, certain, one):
        assert "associated" not in line
        assert "significantly" not in line


def test_the_frame_of_pooled_ratios():
    results = [factor(study, hr, ci, n=100, n_events=40) for study, hr, ci in PRINTED]
    summary = quietly(
        review(*results, factor("A", *around(2.0), analysis="matched"), factor("D", significance="no"))
    )
    frame = summary.pooled_frame().set_index("stratum")
    pooled = summary.pooled("histologic grade", "OS")
    adjusted, matched = frame.loc["adjusted"], frame.loc["matched"]
    assert (adjusted.k, adjusted.n_patients, adjusted.n_events, adjusted.k_without) == (3, 300, 120, 1)
    assert adjusted.k_not_significant == 1
    assert adjusted.hazard_ratio == pytest.approx(pooled.natural)
    assert (adjusted.ci_lower, adjusted.ci_upper) == pytest.approx(tuple(pooled.natural_interval()))
    assert (adjusted.pi_lower, adjusted.pi_upper) == pytest.approx(
        tuple(pooled.natural_prediction_interval())
    )
    assert adjusted.probability_harm == pooled.probability_above(1.0)
    assert (matched.k, matched.printed) == (1, "2.0000 (1.1111–3.6000)")
    assert matched.hazard_ratio == pytest.approx(2.0)
    assert math.isnan(matched.tau2)


def test_kinds_of_analysis_are_pooled_apart():
    kinds = [kind for kind in ("multivariable", "matched", "univariable", "not stated") for _ in range(2)]
    results = [factor(f"S{i}", *around(1.9 + i / 10), analysis=kind) for i, kind in enumerate(kinds)]
    row = summarize_factors(review(*results)).row("histologic grade", "OS")
    strata = {ratios.stratum: ratios for ratios in row.hazard_ratios}
    assert {name: [r.study for r in found.used] for name, found in strata.items()} == {
        "adjusted": ["S0", "S1"],
        "matched": ["S2", "S3"],
        "unadjusted": ["S4", "S5"],
        "not stated": ["S6", "S7"],
    }
    assert [strata[name].pooled.k for name in ("adjusted", "matched", "unadjusted")] == [2, 2, 2]
    assert strata["not stated"].pooled is None
    assert str(strata["not stated"]) == "HR of analyses not stated, not pooled (2 studies)"
    assert row.k == 8


def test_an_unadjusted_ratio_is_pooled_although_the_adjusted_one_is_counted():
    results = [
        factor(study, *around(hr), analysis=kind)
        for study in "AB"
        for kind, hr in (("multivariable", 2.0), ("univariable", 2.2))
    ]
    row = summarize_factors(review(*results)).row("histologic grade", "OS")
    assert {result.analysis for result in row.counted} == {"multivariable"}
    assert [row.ratios(name).k for name in ("adjusted", "unadjusted")] == [2, 2]


def test_endpoints_are_not_pooled_together():
    results = [factor("A", *around(2.0), endpoint=DFS), factor("B", *around(2.2))]
    summary = summarize_factors(review(*results))
    assert [row.endpoint for row in summary.rows] == ["any", "OS", "DFS"]
    assert summary.row("histologic grade").hazard_ratios == ()
    assert all(ratios.pooled is None for row in summary.rows for ratios in row.hazard_ratios)


def test_ratios_that_cannot_be_used_are_listed_and_still_counted():
    results = [
        factor("A", "2.0", ("1.1", "3.9")),
        factor("B", "1.8"),
        factor("C", "1.7", p="0.95", significance="no"),
    ]
    row = summarize_factors(review(*results)).row("histologic grade", "OS")
    ratios = row.ratios("adjusted")
    assert (ratios.k, ratios.pooled) == (1, None)
    assert [(e.study, e.kind, e.reason, e.shown) for e in ratios.left_out] == [
        ("B", "no standard error", "it has neither a confidence interval nor a p-value", "HR 1.8"),
        ("C", "no standard error", "a p-value of 0.95 is too near 1 to tell its standard error", "HR 1.7"),
    ]
    assert row.directions.n_worse == 3


def test_one_ratio_a_cluster_is_pooled():
    results = [factor("A", "2.0", ("1.1", "3.9"), n=50), factor("B", "1.8", ("1.1", "2.9"), n=90)]
    results.append(factor("C", "1.4", ("0.8", "2.3"), n=10, significance="no"))
    ratios = summarize_factors(review(*results, A=("B",))).row("histologic grade", "OS").ratios("adjusted")
    assert [result.study for result in ratios.used] == ["B", "C"]
    assert [(e.study, e.kind, e.reason) for e in ratios.left_out] == [
        ("A", "not independent", "may share patients with B, which was counted")
    ]


# -- one result a study ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("better", "other"),
    [
        ({"analysis": "multivariable", "n": 10}, {"analysis": "matched", "n": 99}),
        ({"analysis": "matched"}, {"analysis": "univariable", "n": 99}),
        ({"analysis": "univariable"}, {"analysis": "not stated", "n": 99}),
        ({"n": 99, "levels": ("moderate", "well")}, {"n": 10}),
        ({"n": 99}, {"n": 99, "levels": ("moderate", "well")}),
        ({"n": 99, "levels": ("moderate", "well")}, {}),
    ],
)
def test_which_of_two_results_of_a_study_is_counted(better, other):
    results = [factor("A", row_id="other", **other), factor("A", row_id="better", **better)]
    for order in (results, results[::-1]):
        row = summarize_factors(review(*order)).row("histologic grade", "OS")
        assert [result.row_id for result in row.counted] == ["better"]


def test_the_whole_cohort_is_counted_before_the_arm():
    whole, arm = factor("A", row_id="whole"), factor("A", row_id="arm")
    arm = replace(arm, group=Group("resected", "arm", 99))
    for roles, counted in ((("overall", "arm"), "whole"), (("arm", "overall"), "arm")):
        row = summarize_factors(review(arm, whole), roles=roles).row("histologic grade")
        assert [result.row_id for result in row.counted] == [counted]


def test_of_equal_results_the_first_row_is_counted_in_any_order():
    results = [factor("A", row_id="PG2", name="differentiation"), factor("A", row_id="PG1", name="grade")]
    for order in (results, results[::-1]):
        row = summarize_factors(review(*order)).row("histologic grade")
        assert [result.row_id for result in row.counted] == ["PG1"]


def test_any_endpoint_counts_a_study_once_by_the_first_endpoint():
    results = [factor("A", endpoint=DFS), factor("A", analysis="not stated"), factor("B", endpoint=DFS)]
    summary = summarize_factors(review(*results))
    assert [(r.study, r.endpoint) for r in summary.row("histologic grade").counted] == [
        ("A", "OS"),
        ("B", "DFS"),
    ]
    assert summary.row("histologic grade", "DFS").k == 2


@pytest.mark.parametrize(("rule", "kept"), [("largest", "B"), ("latest", "C")])
def test_which_of_overlapping_studies_is_counted(rule, kept):
    studies = (
        Study("A", year=1999, n_patients=40, overlap=("B",)),
        Study("B", year=2004, n_patients=90, overlap=("C",)),
        Study("C", year=2012, n_patients=60),
    )
    made = Review(studies, factors=tuple(factor(study) for study in "ABC"))
    row = summarize_factors(made, overlap=rule).row("histologic grade", "OS")
    assert [result.study for result in row.counted] == [kept]
    assert (row.k, row.n_overlapping) == (1, 2)


def test_comparators_duplicates_and_other_sets_are_left_out_with_the_reason():
    groups = {
        "A": Group(evidence_set="core"),
        "B": Group("rest", "comparator"),
        "C": Group(evidence_set="core", duplicate=True),
        "D": Group(evidence_set="newer"),
        "E": Group("women", "subgroup"),
    }
    results = [replace(factor(study), group=group) for study, group in groups.items()]
    summary = summarize_factors(review(*results), sets=["core"])
    assert [result.study for result in summary.row("histologic grade").counted] == ["A"]
    assert {(e.study, e.kind) for e in summary.excluded} == {
        ("B", "comparator"),
        ("C", "duplicate"),
        ("D", "other evidence set"),
        ("E", "subgroup"),
    }


# -- directions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_", "direction", "basis"),
    [
        ({"hr": "1.2"}, "worse", "hazard ratio"),
        # a bound that leaves the side open tells no direction, though its logarithm is known
        ({"hr": "<2.0", "direction": "better"}, "better", "stated"),
        ({"hr": "<2.0", "significance": "no"}, "not stated", ""),
        ({"hr": "<0.8"}, "better", "hazard ratio"),
        ({"hr": "0.8", "significance": "no"}, "better", "hazard ratio"),
        ({"hr": "1.0"}, "none", "hazard ratio"),
        ({"hr": "0.8", "hazard_ratio_for": "well"}, "worse", "hazard ratio"),
        ({"direction": "better", "significance": "no"}, "better", "stated"),
        ({}, "worse", "named adverse level"),
        ({"significance": "no"}, "not stated", ""),
        ({"significance": "not tested"}, "not stated", ""),
        ({"levels": ("", "")}, "not stated", ""),
        ({"levels": ("well", "poor")}, "better", "named adverse level"),
        ({"levels": ("well", "poor"), "hr": "1.2"}, "better", "hazard ratio"),
        ({"levels": ("well", "poor"), "hr": "1.2", "hazard_ratio_for": "poor"}, "worse", "hazard ratio"),
        ({"levels": ("well", "poor"), "direction": "none"}, "none", "stated"),
    ],
)
def test_direction_and_its_basis(given_, direction, basis):
    (result,) = summarize_factors(review(factor("A", **given_))).row("histologic grade").counted
    assert (result.direction, result.direction_basis) == (direction, basis)


def test_inference_of_directions_can_be_forbidden():
    made = review(factor("A"), factor("B", "1.2"), factor("C", direction="better"))
    count = summarize_factors(made).row("histologic grade").directions
    assert (count.n_worse, count.n_better, count.n_not_stated, count.n_inferred) == (2, 1, 0, 1)
    strict = summarize_factors(made, infer_direction=False).row("histologic grade").directions
    assert (strict.n_worse, strict.n_better, strict.n_not_stated, strict.n_inferred) == (1, 1, 1, 0)


def test_ratios_turn_with_their_levels():
    """One result four ways: as poor against well, and with levels, ratio or both the other way round."""
    same = [
        factor("A", "2.00", ("1.25", "3.20"), levels=("poor", "well")),
        factor("B", "0.50", ("0.3125", "0.80"), levels=("poor", "well"), hazard_ratio_for="well"),
        factor("C", "0.50", ("0.3125", "0.80"), levels=("well", "poor")),
        factor("D", "2.00", ("1.25", "3.20"), levels=("well", "poor"), hazard_ratio_for="poor"),
    ]
    for result in summarize_factors(review(*same)).row("histologic grade", "OS").counted:
        assert (result.adverse_level, result.reference_level) == ("higher", "lower")
        assert (result.printed_levels, result.direction) == ("poor vs well", "worse")
        assert result.log_hr == pytest.approx(math.log(2))
        assert (result.log_ci_lower, result.log_ci_upper) == pytest.approx((math.log(1.25), math.log(3.2)))
        assert result.ratio_inverted is (result.study in "BC")
        assert result.ratio == ("2.0 (1.2–3.2)" if result.ratio_inverted else "2.00 (1.25–3.20)")


def test_unknown_levels_printed_the_other_way_round_are_turned():
    pairs = [("A", "O"), ("O", "A"), ("a ", "o")]
    results = [factor(f"S{i}", "2.0", name="Blood group", levels=pair) for i, pair in enumerate(pairs)]
    row = summarize_factors(review(*results)).row("Blood group")
    assert [result.orientation for result in row.counted] == [
        "not in the mapping",
        "inverted",
        "not in the mapping",
    ]
    assert (row.directions.n_worse, row.directions.n_better) == (2, 1)
    row = summarize_factors(review(*results[:2])).row("Blood group")
    assert [result.orientation for result in row.counted] == ["not in the mapping", "inverted"]
    assert (row.adverse_level, row.reference_level) == ("A", "O")  # as frequent: the first of the alphabet


def test_names_that_differ_in_spelling_only_are_one_factor():
    results = [factor("A", name="Blood group"), factor("B", name="blood  Group")]
    assert summarize_factors(review(*results)).factors == ("Blood group",)


# -- doubts ----------------------------------------------------------------------------------------------


def told(kind, made):
    """The one caution of a kind: a warning that points at this file, and the same words in the summary."""
    with pytest.warns(kind) as caught:
        summary = summarize_factors(made)
    assert [warning.filename for warning in caught] == [__file__]
    (said,) = (c for c in summary.warnings if c.name == kind.__name__)
    assert str(caught[0].message) == f"{said.where}: {said.message}"
    return said


def test_a_bound_on_p_in_a_pool_is_told():
    said = told(ImputedVarianceWarning, review(factor("A", "2.0", p="<0.05"), factor("B", "2.1", p="0.01")))
    assert (said.where, said.message) == (
        "histologic grade, OS, adjusted",
        "the standard error of A rests on a p-value printed as a bound, so it is larger than the true one and the "
        "study weighs less than it should",
    )


def test_a_pool_of_different_comparisons_is_told():
    results = [factor("A", "2.0", p="0.02"), factor("B", "2.1", p="0.01", levels=("G3", "G1/2"))]
    said = told(HarmonisationWarning, review(*results))
    assert said.message == "ratios of different comparisons are pooled: G3 vs G1/2; poor vs well"
    synonyms = [
        factor(study, "2.0", p="0.02", name="extrahepatic disease", levels=levels)
        for study, levels in (("A", ("present", "absent")), ("B", ("yes", "no")))
    ]
    assert HarmonisationWarning.__name__ not in {
        c.name for c in summarize_factors(review(*synonyms)).warnings
    }


def test_levels_taken_to_point_the_same_way_are_told():
    said = told(HarmonisationWarning, review(factor("A"), factor("B", levels=("aneuploid", "diploid"))))
    assert said.message == (
        "levels that the mapping does not know are taken to point the same way: aneuploid vs diploid (B)"
    )


def test_a_lopsided_interval_is_told():
    said = told(InconsistentReportWarning, review(factor("A", "2.0", ("0.5", "4.0"), significance="no")))
    assert said.where == "A"
    assert said.message == (
        "grade, OS: the confidence interval 0.5–4.0 is not symmetric around the hazard ratio 2.0 on the log scale, "
        "so one of them is misprinted or the interval is no Wald interval"
    )


def test_doubts_of_pooling_travel_with_the_summary():
    made = review(factor("A", "2.0", ("1.1", "3.6")), factor("B", "2.1", ("1.1", "4.0")))
    summary = summarize_factors(made)
    pooled = summary.row("histologic grade", "OS").ratios("adjusted").pooled
    assert pooled.warnings
    assert set(pooled.warnings) <= set(summary.warnings)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"endpoints": ["PFS"]},
            "The review has no result of a prognostic factor for this question. Give `factors` to the Review, "
            "or ask for other endpoints, sets or roles.",
        ),
        ({"mapping": {"grade": "G"}}, "mapping must be a FactorMap; got {'grade': 'G'}."),
        ({"overlap": "first"}, "overlap must be one of largest, latest, keep; got 'first'."),
        (
            {"roles": ["whole"]},
            "roles must be one of overall, arm, subgroup, comparator; got 'whole'.",
        ),
        ({"roles": "overall"}, "roles must be a list of one or more words; got 'overall'."),
        ({"roles": ()}, "roles must be a list of one or more words; got ()."),
        ({"endpoints": "OS"}, "endpoints must be a list of words; got 'OS'."),
        ({"sets": "core"}, "sets must be a list of one or more words; got 'core'."),
        (
            {"sets": ["cor"]},
            "No result belongs to evidence set cor; the review names none; leave sets out.",
        ),
    ],
)
def test_bad_questions_are_refused(arguments, message):
    with pytest.raises(InvalidInputError) as error:
        summarize_factors(review(factor("A")), **arguments)
    assert str(error.value) == message


# -- the result ------------------------------------------------------------------------------------------


def test_frames_hold_what_the_summary_says(nethm):
    evidence, summary, mapping = nethm.evidence_frame(), nethm.summary_frame(), nethm.mapping_frame()
    assert len(evidence) == 71
    assert (len(summary), list(summary["factor"].unique())) == (len(nethm.rows), list(nethm.factors))
    assert mapping["n_results"].sum() == 71
    by_endpoint = summary[summary["endpoint"] != "any"]
    assert evidence["counted"].sum() == by_endpoint["k"].sum()
    assert (evidence["left_out"] == "").tolist() == evidence["counted"].tolist()
    complete = summary.set_index(["factor", "endpoint"]).loc[("completeness of resection", "OS")]
    assert complete["printed_levels"] == (
        "palliative vs curative (3); R1 vs R0 (1); R1/2 vs R0 (1); R2 vs R0/R1 (1); "
        "under 70% cytoreduction vs over 70% (1); under 90% of tumour volume vs 90% or more (1)"
    )
    assert complete["n_patients"] == 172 + 31 + 13 + 61 + 21 + 108 + 612  # Fischer 2008 prints no number
    g1early = evidence.set_index("row_id").loc["PG056"]
    assert g1early["se"] == pytest.approx(
        math.sqrt((math.log(16.7 / 1.2) / 2 / Z95) ** 2 + (0.1 / 4.4) ** 2 / 12)
    )
    assert (g1early["se_route"], g1early["n_patients"]) == ("confidence interval", 162)


def test_it_prints_as_a_table_that_claims_nothing(nethm):
    text = str(nethm)
    header, row = (" ".join(line.split()) for line in text.splitlines()[1:3])
    assert header == (
        "factor endpoint k patients worse better not stated sign test p bounds of p significant hazard ratio"
    )
    assert row == "completeness of resection any 11 1157 10 1 < 0.001 to 1 10 of 11"
    lines = [line for line in text.splitlines() if line.startswith("  extrahepatic disease")]
    assert [line.split()[2:9] for line in lines] == [["OS", "3", "413", "3", "0.25", "to", "1"]]
    for sentence in (
        "Counting directions says nothing about the size of an effect.",
        "Counts of significant results depend on the size of the studies and are no evidence of an effect.",
        "Left out before counting: pooled result (3).",
    ):
        assert sentence in text
    assert "<td>extrahepatic disease</td>" in nethm._repr_html_()


def test_the_mapping_prints_what_went_where():
    mapping = FactorMap((FactorRule("margin", ("resection margin",), "involved", "clear", ("R1",), ("R0",)),))
    results = [
        factor("A", name="resection margin", levels=("R0", "R1")),
        factor("B", name="resection margin", levels=("close", "wide")),
        factor("C", name="blood group", levels=("", "")),
    ]
    summary = summarize_factors(review(*results[:1], results[2]), mapping=mapping)
    assert [str(name) for name in summary.mapping] == [
        "blood group [1] -> blood group (levels not stated) (name kept)",
        "resection margin: R0 vs R1 [1] -> margin: involved vs clear (inverted)",
    ]
    with pytest.warns(HarmonisationWarning):
        summary = summarize_factors(review(*results), mapping=mapping)
    assert "resection margin: close vs wide [1] -> margin: close vs wide (levels not in the mapping)" in map(
        str, summary.mapping
    )


def test_an_unknown_row_is_a_key_error(nethm):
    with pytest.raises(KeyError, match="no row for 'stage', 'any'; factors are completeness of resection, "):
        nethm.row("stage")
    with pytest.raises(KeyError, match="no row for 'age', 'RFS'; endpoints of age are any, OS, DSS"):
        nethm.row("age", "RFS")


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (
            DirectionCount(5, 1),
            "worse in 5 of 6 studies with a direction (83%, 95% CI 36–100%; sign test p = 0.22)",
        ),
        (
            DirectionCount(0, 1, 1),
            "better in 1 of 1 study with a direction (100%, 95% CI 3–100%); no difference in 1",
        ),
        (
            DirectionCount(9, 0, 1, 2),
            "worse in 9 of 9 studies with a direction (100%, 95% CI 66–100%; sign test p = 0.004); no difference in 1; "
            "direction not stated in 2, so p is anything from < 0.001 to 0.065",
        ),
        (DirectionCount(0, 0, 0, 2), "no direction known in 2 studies"),
        # 3 of 3: the lower end of the exact interval is the cube root of 0.025, which is 0.292
        (
            DirectionCount(0, 3),
            "better in 3 of 3 studies with a direction (100%, 95% CI 29–100%; sign test p = 0.25)",
        ),
        (DirectionCount(0, 0, 2), "no difference in 2 studies"),
        (DirectionCount(0, 0, 2, 1), "no difference in 2 of 3 studies; direction not stated in 1"),
    ],
)
def test_a_count_in_words(count, text):
    assert str(count) == text


# -- properties ------------------------------------------------------------------------------------------

RATIOS = st.integers(20, 400).map(lambda i: f"{i / 100:.2f}")
PVALUES = st.sampled_from(["0.001", "0.02", "0.04", "0.3", "<0.05", "<0.001"])


@st.composite
def results(draw, least=1):
    """Results of one factor, one or two a study, of which some print a ratio."""
    made = []
    for i in range(draw(st.integers(least, 6))):
        for kind in draw(
            st.lists(st.sampled_from(["multivariable", "univariable"]), min_size=1, max_size=2, unique=True)
        ):
            hr = draw(st.none() | RATIOS.filter(lambda text: text != "1.00"))
            made.append(
                factor(
                    f"S{i}",
                    hr,
                    p=draw(PVALUES),
                    levels=draw(st.sampled_from([("poor", "well"), ("well", "poor")])),
                    analysis=kind,
                    n=draw(st.none() | st.integers(10, 99)),
                    significance=draw(st.sampled_from(["yes", "no"])),
                    row_id=f"{i}{kind}",
                )
            )
    return made


def quietly(made, **arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return summarize_factors(made, **arguments)


def same(first, second, rel=1e-9):
    """Whether two summaries say the same in every row."""
    assert len(first.rows) == len(second.rows)
    for left, right in zip(first.rows, second.rows, strict=True):
        assert (left.factor, left.endpoint, left.levels) == (right.factor, right.endpoint, right.levels)
        assert {r.row_id for r in left.counted} == {r.row_id for r in right.counted}
        assert (left.directions, left.significance) == (right.directions, right.significance)
        for ours, theirs in zip(left.hazard_ratios, right.hazard_ratios, strict=True):
            assert {r.row_id for r in ours.used} == {r.row_id for r in theirs.used}
            if ours.pooled is not None:
                expected = (ours.pooled.estimate, ours.pooled.se, ours.pooled.tau2)
                found = (theirs.pooled.estimate, theirs.pooled.se, theirs.pooled.tau2)
                assert found == pytest.approx(expected, rel=rel, abs=1e-9, nan_ok=True)


@given(results(), st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_the_order_of_rows_changes_nothing(made, random):
    shuffled = list(made)
    random.shuffle(shuffled)
    same(quietly(review(*made)), quietly(review(*shuffled)), rel=1e-6)  # REML stops at a tolerance of its own


@given(results(least=2))
@settings(max_examples=25, deadline=None)
def test_ratios_of_the_other_level_flip_the_pooled_log_ratio(made):
    """The same numbers printed for the reference level: same errors, opposite effects and directions."""
    flipped = [
        replace(r, hazard_ratio_for=r.reference_level)
        if r.hazard_ratio is not None
        else replace(r, direction="not stated")
        for r in made
    ]
    rows = [
        quietly(review(*some), infer_direction=False).row("histologic grade", "OS")
        for some in (made, flipped)
    ]
    left, right = (row.directions for row in rows)
    assert (left.n_worse, left.n_better, left.n_not_stated) == (
        right.n_better,
        right.n_worse,
        right.n_not_stated,
    )
    assert left.pvalue == pytest.approx(right.pvalue, nan_ok=True)
    for stratum in ("adjusted", "matched", "unadjusted"):
        ours, theirs = (row.ratios(stratum).pooled for row in rows)
        assert (ours is None) == (theirs is None)
        if ours is not None:
            assert theirs.estimate == pytest.approx(-ours.estimate, rel=1e-6, abs=1e-9)
            assert theirs.se == pytest.approx(ours.se, rel=1e-6, nan_ok=True)
            assert theirs.tau2 == pytest.approx(ours.tau2, rel=1e-5, abs=1e-9)


@given(results())
@settings(max_examples=25, deadline=None)
def test_naming_the_levels_the_other_way_round_changes_nothing(made):
    """Which level a paper names first says nothing, as long as the ratio is said to be for the same level."""
    renamed = [
        replace(
            r,
            adverse_level=r.reference_level,
            reference_level=r.adverse_level,
            hazard_ratio_for=r.adverse_level if r.hazard_ratio is not None else "",
        )
        for r in made
    ]
    same(*(quietly(review(*rows), infer_direction=False) for rows in (made, renamed)))


@given(results())
@settings(max_examples=25, deadline=None)
def test_a_result_without_direction_widens_the_bounds(made):
    before = quietly(review(*made)).row("histologic grade").directions
    extra = factor("Z", significance="no")
    after = quietly(review(*made, extra)).row("histologic grade").directions
    assert after.n_not_stated == before.n_not_stated + 1
    assert after.proportion == pytest.approx(before.proportion, nan_ok=True)
    for name in ("proportion_bounds", "pvalue_bounds"):
        (old_low, old_high), (low, high) = getattr(before, name), getattr(after, name)
        assert low <= old_low + 1e-12
        assert high >= old_high - 1e-12
    (old_low, old_high), (low, high) = before.interval_bounds(), after.interval_bounds()
    assert low <= old_low + 1e-12
    assert high >= old_high - 1e-12


@given(results(), st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_unadjusted_results_never_move_the_adjusted_pool(made, seed):
    """Further unadjusted ratios of new studies leave the adjusted pool as it was."""
    extra = [factor(f"U{i}", f"{0.5 + seed + i}", p="0.02", analysis="univariable") for i in range(2)]
    before, after = (
        quietly(review(*rows)).row("histologic grade", "OS").ratios("adjusted")
        for rows in (made, made + extra)
    )
    assert [r.row_id for r in before.used] == [r.row_id for r in after.used]
    assert (before.pooled is None) == (after.pooled is None)
    if before.pooled is not None:
        assert before.pooled.estimate == after.pooled.estimate


def test_the_vocabulary_of_endpoints_sets_their_order():
    made = review(*(factor("A", endpoint=endpoint) for endpoint in ENDPOINTS[::-1]))
    rows = summarize_factors(made).rows
    assert [row.endpoint for row in rows] == ["any", *(endpoint.code for endpoint in ENDPOINTS)]
    assert rows[0].counted[0].endpoint == "OS"


# -- ratios from p-values and events ---------------------------------------------------------------------


def crude(study, p, *, n_events=80, direction="worse", **more):
    """A univariable result without a ratio."""
    return factor(study, p=p, analysis="univariable", n_events=n_events, direction=direction, **more)


def test_a_pvalue_with_events_and_a_direction_is_pooled():
    """Against the formula of Tierney (2007): z over the root of a quarter of the events."""
    results = [crude("A", "0.03"), factor("B", *around(1.9), analysis="univariable")]
    ratios = summarize_factors(review(*results)).row("histologic grade", "OS").ratios("unadjusted")
    derived = next(result for result in ratios.used if result.study == "A")
    assert derived.log_hr == pytest.approx(NormalDist().inv_cdf(0.985) / math.sqrt(20))
    assert (derived.se_route, derived.printed_ratio, derived.is_derived) == ("p-value and events", "", True)
    assert derived.ratio == "1.6 (1.0–2.6), from p and events"  # 2 x 1.96 x 0.224 wide, and the rounding of p
    assert ratios.pooled.k == 2


def test_it_is_turned_with_the_levels():
    results = [crude("A", "0.03", direction="better", levels=("well", "poor")), factor("B", *around(1.9))]
    row = summarize_factors(review(*results)).row("histologic grade", "OS")
    (derived,) = row.ratios("unadjusted").used
    assert derived.orientation == "inverted"
    assert derived.log_hr == pytest.approx(NormalDist().inv_cdf(0.985) / math.sqrt(20))


def test_a_bound_on_such_a_pvalue_is_left_out_with_its_reason():
    results = [crude("A", "<0.05"), crude("B", "0.03"), crude("C", "0.03", n_events=None)]
    ratios = summarize_factors(review(*results)).row("histologic grade", "OS").ratios("unadjusted")
    assert [result.study for result in ratios.used] == ["B"]
    assert [(out.study, out.reason, out.shown) for out in ratios.left_out] == [
        ("A", "the p-value is a bound, so the ratio is known on one side only", "no ratio printed")
    ]


def test_an_adjusted_pvalue_with_events_gives_none():
    row = summarize_factors(review(factor("A", p="0.03", n_events=80, direction="worse"))).row(
        "histologic grade", "OS"
    )
    assert row.hazard_ratios == ()


def test_a_disagreement_reaches_the_summary():
    odd = factor(
        "A", "0.45", ("0.30", "0.68"), "0.5", analysis="univariable", n_events=142, significance="not stated"
    )
    with pytest.warns(InconsistentReportWarning, match="A: grade, OS: what is printed disagrees: 0.45"):
        found = summarize_factors(review(odd))
    assert any("disagrees" in said.message for said in found.warnings)


# --- cut-points


def split(study, at, hr="2.0", ci=("1.2", "3.3"), **more):
    return factor(study, hr, ci, name="tumour size", levels=(f"> {at}", f"<= {at}"), **more)


def doubts(summary):
    return [(said.name, said.where, said.message) for said in summary.warnings]


def test_a_cut_point_chosen_by_the_outcome_is_told_wherever_its_ratio_goes():
    made = [
        split("A", "5 cm"),
        split("B", "5 cm", notes="optimal cut-off by maximally selected rank statistics"),
    ]
    with pytest.warns(ChosenCutPointWarning, match=r"^tumour size: the cut-point .* in B \(5 cm\)") as seen:
        summary = summarize_factors(review(*made))
    assert [w.filename for w in seen if w.category is ChosenCutPointWarning] == [__file__]
    message = (
        "the cut-point was chosen by the outcome in B (5 cm): there the ratio is too far from 1 and the p-value too "
        "small, by how much nothing printed tells"
    )
    assert [said for said in doubts(summary) if said[0] == "ChosenCutPointWarning"] == [
        ("ChosenCutPointWarning", "tumour size", message)
    ]
    assert message in str(summary)
    clause = "cut-point chosen by the outcome in B (5 cm), so the ratio is too far from 1 and the p-value too small"
    assert f"; {clause}." in summary.narrative()
    frame = summary.evidence_frame()
    assert list(zip(frame.study, frame.cut_point, frame.cut_point_chosen, strict=True)) == [
        ("A", "5 cm", False),
        ("B", "5 cm", True),
    ]
    row = summary.pooled_frame().iloc[0]
    assert (row.k_cut_point_chosen, row.different_cut_points) == (1, "")


def test_a_chosen_cut_point_is_told_without_a_ratio_and_without_its_value():
    made = [factor("A", p="0.03", name="Ki-67", levels=("high", "low"), notes="cut-off by ROC analysis")]
    with pytest.warns(ChosenCutPointWarning, match=r"chosen by the outcome in A \(not named\)"):
        summary = summarize_factors(review(*made))
    assert "cut-point chosen by the outcome in A (not named)" in summary.narrative()


def test_a_result_that_is_neither_counted_nor_used_is_not_told():
    better = split("A", "5 cm")
    other = split("A", "5 cm", hr="3.0", ci=("1.5", "6.0"), analysis="not stated", notes="optimal cut-off")
    with warnings.catch_warnings():
        warnings.simplefilter("error", ChosenCutPointWarning)
        assert (
            "chosen"
            not in summarize_factors(review(better, replace(other, hazard_ratio=None, ci=None))).narrative()
        )


@pytest.mark.parametrize(
    ("ats", "told_"),
    [
        (("5 cm", "5 cm"), ""),
        (("5 cm", "50 mm"), ""),
        (("5 cm", "5"), ""),
        (("5 cm", "3 cm"), "5 cm (A) and 3 cm (B)"),
        (("5 cm", "3 cm", "50 mm"), "5 cm (A and C) and 3 cm (B)"),
    ],
)
def test_ratios_at_different_cut_points_are_told(ats, told_):
    made = [split(study, at) for study, at in zip("ABC", ats, strict=False)]
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        summary = summarize_factors(review(*made))
    said = [each for each in doubts(summary) if each[0] == "HarmonisationWarning" and "pooled" in each[2]]
    where = "tumour size, OS, adjusted"
    message = f"ratios at different cut-points are pooled: {told_}"
    assert said == ([("HarmonisationWarning", where, message)] if told_ else [])
    clause = f", split at different cut-points: {told_}"
    assert (clause in summary.narrative()) == bool(told_)
    assert summary.pooled_frame().different_cut_points[0] == told_


def test_a_study_that_names_no_cut_point_stands_beside_those_that_do():
    made = [
        split("A", "5 cm"),
        split("B", "3 cm"),
        factor("C", "1.5", ("1.1", "2.0"), name="tumour size", levels=("large", "small")),
    ]
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        three, two = (summarize_factors(review(*rows)) for rows in (made, made[::2]))
    pooled = [[text for _, _, text in doubts(summary) if "are pooled" in text] for summary in (three, two)]
    assert pooled == [
        ["ratios at different cut-points are pooled: 5 cm (A), 3 cm (B) and not named (C)"],
        # with one cut-point nobody knows whether they differ, so the wordings are told
        ["ratios of different comparisons are pooled: > 5 cm vs <= 5 cm; large vs small"],
    ]


def test_cut_points_of_a_ratio_for_the_other_level_are_the_same():
    turned = factor("B", "0.5", ("0.3", "0.8"), name="tumour size", levels=("<= 5 cm", "> 5 cm"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        summary = summarize_factors(review(split("A", "5 cm"), turned))
    (ratios,) = summary.row("tumour size", "OS").hazard_ratios
    assert (ratios.k, ratios.cut_points) == (2, "")


# --- what a record says that cannot all be right


def test_words_that_contradict_the_numbers_are_told():
    """Of G3 against G1/2: a ratio of 2.0 is worse, and p = 0.4 is not significant at 0.05."""
    odd = factor("A", "2.0", p="0.4", levels=("G3", "G1/2"), direction="better")
    with pytest.warns(InconsistentReportWarning) as caught:
        summary = summarize_factors(review(odd))
    assert sorted(str(warning.message) for warning in caught) == [
        "A: grade, OS: G3 is said to do better, yet the ratio for G3 is 2.0",
        "A: grade, OS: said to be significant, with p = 0.4",
    ]
    assert {warning.filename for warning in caught} == {__file__}
    assert [said.where for said in summary.warnings] == ["A", "A"]


# --- inferred directions


def test_an_inferred_direction_of_one_study_is_called_so():
    line = narrated(factor("A", n=80))
    assert (
        "one study (80 patients); worse with the first level (inferred from a significant result); " in line
    )


def test_inferred_directions_are_in_no_test():
    """Ten significant results that only name a level: no test, whatever they name."""
    summary = quietly(review(*(factor(f"S{i}") for i in range(10))))
    row = summary.row("histologic grade").directions
    assert (row.n_stated, row.n_inferred_worse, row.problem != "") == (0, 10, True)
    assert math.isnan(row.pvalue)
    assert (
        "10 studies; no direction stated in 10 studies; direction inferred from a significant result in 10 (worse in "
        "10), by the level it names as adverse, which no test can rest on; significant in 10 of 10"
    ) in summary.narrative()
    assert "inferred directions are in no test" in " ".join(str(summary).split())
    frame = summary.summary_frame().set_index("endpoint").loc["OS"]
    assert (frame.n_stated, frame.n_direction_inferred, frame.n_inferred_worse) == (0, 10, 10)


# --- directions of the other results of a study


def silent(study="A", **more):
    """An adjusted result of which only "not significant" is known."""
    return factor(study, significance="no", row_id=f"{study} adjusted", **more)


def test_a_study_without_a_direction_takes_that_of_its_next_result():
    crude_ = factor("A", "2.0", ("1.2", "3.3"), analysis="univariable")
    summary = quietly(review(silent(), crude_))
    row = summary.row("histologic grade", "OS")
    (counted,) = row.counted
    assert (counted.row_id, counted.direction, counted.direction_basis) == ("A adjusted", "not stated", "")
    assert (counted.voted_direction, counted.voted_basis) == ("worse", "hazard ratio")
    assert str(counted).endswith("direction: not stated; worse by its univariable result")
    assert row.directions == DirectionCount(1, 0)
    assert (
        "; worse with the first level by its univariable result; significant in 0 of 1; "
        in summary.narrative()
    )
    frame = summary.summary_frame().set_index("endpoint").loc["OS"]
    assert (frame.n_worse, frame.n_direction_from_another_result) == (1, 1)


def test_the_side_of_its_p_value_stays_unknown():
    """A p-value of 0.4 of the adjusted result has no side because the unadjusted ratio is above 1."""
    made = [factor(s, p="0.4", significance="no", row_id=s) for s in "AB"]
    made += [factor(s, "2.0", ("1.2", "3.3"), analysis="univariable") for s in "AB"]
    row = quietly(review(*made)).row("histologic grade", "OS")
    assert row.directions.n_worse == 2
    assert {result.direction for result in row.counted} == {"not stated"}
    with pytest.raises(InvalidInputError, match="direction"):
        combine_pvalues(row)


def test_votes_count_that_direction_once():
    """The study has one result that is not stated and one that is worse."""
    made = review(silent(), factor("A", "2.0", ("1.2", "3.3"), analysis="univariable"))
    row = quietly(made).row("histologic grade", "OS")
    votes = count_votes(row)
    assert votes.chosen == row.directions
    (study,) = votes.studies
    assert (study.n_worse, study.n_not_stated, study.chosen) == (1, 1, "worse")


def test_a_stated_direction_is_taken_before_an_inferred_one():
    named = factor("A", analysis="matched")
    stated_ = factor("A", "0.5", ("0.3", "0.8"), analysis="univariable")
    (counted,) = quietly(review(silent(), named, stated_)).row("histologic grade", "OS").counted
    assert (counted.voted_direction, counted.direction_from) == ("better", "univariable result")
    (counted,) = quietly(review(silent(), named)).row("histologic grade", "OS").counted
    assert (counted.voted_basis, counted.direction_from) == ("named adverse level", "matched result")


def test_a_direction_of_other_levels_or_studies_is_not_taken():
    other = factor("A", "2.0", ("1.2", "3.3"), analysis="univariable", levels=("aneuploid", "diploid"))
    for made in ((silent(), other), (silent(), factor("B", "2.0", ("1.2", "3.3")))):
        row = quietly(review(*made)).row("histologic grade", "OS")
        assert [r.voted_direction for r in row.counted if r.study == "A"] == ["not stated"]


def test_a_result_that_is_not_counted_takes_no_direction():
    smaller = silent(n=5, levels=("moderate", "well"))
    row = quietly(review(silent(n=9), smaller, factor("A", "2.0", ("1.2", "3.3"), analysis="univariable")))
    results = row.row("histologic grade", "OS").results
    assert [bool(r.direction_from) for r in results] == [True, False, False]


def test_several_of_them_are_counted_in_the_line():
    made = [
        silent(),
        factor("A", "2.0", ("1.2", "3.3"), analysis="univariable"),
        factor("B", "2.0", ("1.2", "3.3")),
    ]
    line = narrated(*made)
    assert (
        "worse in 2 of 2 studies with a direction (95% CI 16–100%; sign test p = 0.50); direction by another result"
        in line
    )
    assert "of the same study in 1; " in line


# --- ratios of studies that are not counted


def test_a_ratio_of_a_study_that_is_not_counted_is_named():
    """B is larger and is counted; it prints no ratio, so that of A is used, which may share its patients."""
    made = review(factor("A", "2.0", ("1.2", "3.3"), n=40), factor("B", n=90), A=("B",))
    line = quietly(made).narrative()
    assert "one study (90 patients)" in line
    assert (
        "adjusted HR 2.0 (1.2–3.3) from one study, A, not among those counted, since it may share patients; 1 further"
    ) in line
    three = review(
        factor("A", "2.0", ("1.2", "3.3"), n=40),
        factor("B", n=90),
        factor("C", "2.0", ("1.2", "3.3")),
        A=("B",),
    )
    line = quietly(three).narrative()
    assert "; of these studies A is not among those counted, since it may share patients; " in line


# --- continuous factors


def per(study, step, hr, ci, **more):
    return factor(study, hr, ci, name="Ki-67", levels=(step, ""), **more)


ONE = per("A", "per 1%", "1.05", ("1.02", "1.08"))
TEN = per("B", "per 10% increase", "1.60", ("1.20", "2.13"))
HIGH = factor("C", "2.5", ("1.5", "4.2"), name="Ki-67", levels=("high", "low"))


def test_a_ratio_per_unit_is_never_pooled_with_a_split():
    summary = quietly(review(ONE, HIGH))
    ratios = summary.row("Ki-67 index", "OS").ratios("adjusted")
    assert ([r.study for r in ratios.used], ratios.pooled) == (["C"], None)
    assert [(out.study, out.kind, out.reason) for out in ratios.left_out] == [
        ("A", "another scale", "per 1%, not a split")
    ]
    assert (
        "adjusted HR 2.5 (1.5–4.2) from one study; no usable adjusted HR in 1 study (per 1%, not a split)"
        in (summary.narrative())
    )
    row = summary.pooled_frame().iloc[0]
    assert (row.scale, row.k_other_scale, row.k_without) == ("", 1, 1)


@pytest.mark.parametrize(
    ("made", "used", "reason"),
    [
        ((ONE, TEN, HIGH), "AB", "a split, not per 10%"),
        ((ONE, HIGH, replace(HIGH, study="D")), "CD", "per 1%, not a split"),
        ((ONE, per("B", "per doubling", "1.5", ("1.2", "1.9"), n=90)), "B", "per 1%, not per doubling"),
        ((ONE, per("B", "per SD", "1.5", ("1.2", "1.9"), n=90)), "B", "per 1%, not per SD"),
        (
            (ONE, per("B", "continuous", "1.5", ("1.2", "1.9"), n=90)),
            "A",
            "scale not clear (continuous, not per 1%)",
        ),
        ((ONE, per("B", "per unit", "1.5", ("1.2", "1.9"), n=90)), "B", "per 1%, not per unit"),
        ((replace(ONE, group=Group(n_total=500)), HIGH), "A", "a split, not per 1%"),
    ],
)
def test_the_kind_of_most_studies_is_pooled(made, used, reason):
    for order in (made, made[::-1]):
        ratios = quietly(review(*order)).row("Ki-67 index", "OS").ratios("adjusted")
        assert sorted(r.study for r in ratios.used) == list(used)
        assert {out.reason for out in ratios.left_out} == {reason}


def test_studies_that_share_patients_count_once_for_the_kind():
    """Two per 1% of one cohort against one split of more patients than either."""
    sizes = {"A": 50, "B": 60, "C": 100}
    made = [replace(r, group=Group(n_total=sizes[r.study])) for r in (ONE, replace(ONE, study="B"), HIGH)]
    ratios = quietly(review(*made, A=("B",))).row("Ki-67 index", "OS").ratios("adjusted")
    assert [r.study for r in ratios.used] == ["C"]


def test_steps_of_one_scale_are_brought_to_the_most_common():
    """METHODS: theta / dx and se / dx. Two ratios per 10% and one per 1%, whose logarithm and error go times ten."""
    made = [ONE, TEN, replace(TEN, study="D")]
    with pytest.warns(HarmonisationWarning) as caught:
        summary = summarize_factors(review(*made))
    message = (
        "Ki-67 index, OS, adjusted: log ratios were multiplied so that all are per 10%: A, per 1% (10 times)"
    )
    assert message in [str(warning.message) for warning in caught]
    assert not [w for w in caught if "different comparisons" in str(w.message)]
    ratios = summary.row("Ki-67 index", "OS").ratios("adjusted")
    found = next(r for r in ratios.used if r.study == "A")
    printed = (math.log(1.08 / 1.02) / 2 / Z95) ** 2 + (0.01 / 1.05) ** 2 / 12
    assert found.log_hr == pytest.approx(10 * math.log(1.05), rel=1e-12)
    assert found.se == pytest.approx(10 * math.sqrt(printed), rel=1e-12)
    assert found.log_ci_upper == pytest.approx(10 * math.log(1.08), rel=1e-12)
    assert (found.scale_factor, ratios.scale) == (pytest.approx(10.0), "per 10%")
    assert found.printed_ratio == "1.05 (1.02–1.08)"
    # 1.05 ** 10 is 1.629, with limits 1.219 and 2.159
    assert found.ratio == "1.6 (1.2–2.2)"
    assert 1.5 < ratios.pooled.natural < 1.7
    assert "adjusted HR (per 10%) 1.6" in summary.narrative()
    assert summary.pooled_frame().iloc[0].scale == "per 10%"
    check_numbers(summary)
    evidence = summary.evidence_frame().set_index("study")
    assert evidence.log_hr["A"] == pytest.approx(math.log(1.05))  # as printed
    assert list(evidence.scale) == ["per 1%", "per 10%", "per 10%"]


def test_age_per_year_stands_beside_age_above_a_cut_point():
    made = [
        factor("A", "1.03", ("1.01", "1.05"), name="age", levels=("per year", "")),
        factor("B", "1.35", ("1.10", "1.65"), name="age", levels=("per decade", "")),
        factor("C", "1.8", ("1.2", "2.7"), name="age", levels=("> 65", "<= 65")),
    ]
    ratios = quietly(review(*made)).row("age", "OS").ratios("adjusted")
    assert [(r.study, str(r.scale), round(r.scale_factor, 9)) for r in ratios.used] == [
        ("A", "per 10 years", 10.0),
        ("B", "per 10 years", 1.0),
    ]


def test_a_unit_that_is_not_stated_is_told():
    made = [per(study, "per unit", "1.5", ("1.2", "1.9")) for study in "AB"]
    with pytest.warns(HarmonisationWarning, match="although the unit is not stated, so the steps may differ"):
        summarize_factors(review(*made))


def test_a_ratio_of_another_scale_gives_no_bound_its_number():
    row = quietly(review(ONE, HIGH)).row("Ki-67 index", "OS")
    (result,) = row.without_ratio("adjusted")
    assert (result.study, result.se_problem) == ("A", "per 1%, not a split")
    assert math.isnan(result.log_hr)


@pytest.mark.parametrize("name", ["grade", "extrahepatic disease"])
def test_a_level_that_is_not_stated_is_told_where_ratios_are_pooled(name):
    words = {"grade": ("G3", "G1/2"), "extrahepatic disease": ("present", "absent")}[name]
    made = [
        factor("A", "2.0", ("1.2", "3.3"), name=name, levels=(words[0], "")),
        factor("B", "1.8", ("1.2", "2.7"), name=name, levels=words),
    ]
    with pytest.warns(HarmonisationWarning) as caught:
        summarize_factors(review(*made))
    where = {"grade": "histologic grade"}.get(name, name)
    assert (
        f"{where}, OS, adjusted: a level is not stated in A, whose ratio may be of another comparison than those it is "
        "pooled with"
    ) in [str(warning.message) for warning in caught]


# -- digits of ratios that are turned --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hr", "ci", "shown"),
    [
        # 1 / 0.975 = 1.02564, 1 / 0.989 = 1.01112, 1 / 0.961 = 1.04058
        ("0.975", ("0.961", "0.989"), "1.026 (1.011–1.041)"),
        # 1 / 0.95 = 1.0526, 1 / 0.99 = 1.0101, 1 / 0.91 = 1.0989; two decimals are printed, so no more are known
        ("0.95", ("0.91", "0.99"), "1.05 (1.01–1.10)"),
        # 1 / 0.98 = 1.0204, 1 / 1.05 = 0.9524, 1 / 0.91 = 1.0989
        ("0.98", ("0.91", "1.05"), "1.02 (0.95–1.10)"),
        # 1 / 0.50 = 2, 1 / 0.99 = 1.0101, 1 / 0.26 = 3.846: the limit keeps its side of 1
        ("0.50", ("0.26", "0.99"), "2.00 (1.01–3.85)"),
        # limits printed more finely than the ratio: 1 / 1.001 = 0.9990, 1 / 1.004 = 0.9960
        ("1.0", ("1.001", "1.004"), "1.000 (0.996–0.999)"),
        # far from 1: as many digits as printed; 1 / 0.350 = 2.857, 1 / 0.580 = 1.724, 1 / 0.210 = 4.762
        ("0.350", ("0.210", "0.580"), "2.86 (1.72–4.76)"),
        ("0.40", ("0.20", "0.80"), "2.5 (1.2–5.0)"),
    ],
)
def test_a_turned_ratio_has_the_digits_it_was_printed_with(hr, ci, shown):
    made = factor("A", hr, ci, levels=("well", "poor"), significance="not stated")
    row = summarize_factors(review(made)).row("histologic grade", "OS")
    (found,) = row.counted
    assert found.orientation == "inverted"
    assert found.ratio == shown
    assert f"{found.shown_ratio} ({found.shown_limits()})" == shown
    assert str(row.ratios("adjusted")) == f"adjusted HR {shown} from one study"


def test_a_ratio_that_rounds_to_1_is_counted_on_the_side_of_its_limits():
    made = [
        factor("A", "1.00", ("1.001", "1.003"), "0.001", direction="worse"),
        factor("B", "1.00", ("0.997", "0.999"), "0.001"),
        factor("C", "1.00", ("0.99", "1.01"), "0.9", direction="worse", significance="no"),
        factor("D", "1.00", ("0.99", "1.01"), "0.9", significance="no"),
    ]
    row = summarize_factors(review(*made)).row("histologic grade", "OS")
    found = {r.study: (r.direction, r.direction_basis) for r in row.counted}
    assert found == {
        "A": ("worse", "hazard ratio"),
        "B": ("better", "hazard ratio"),
        "C": ("worse", "stated"),
        "D": ("none", "hazard ratio"),
    }


def test_what_is_continuous_without_a_step_is_pooled_with_the_same_words_only():
    """Two splits of HR 1.5 and 1.6 are pooled; 1.03 of a continuous marker is not of their kind."""
    vague = per("A", "Ki-67 (continuous)", "1.03", ("1.01", "1.05"))
    splits = [
        factor("B", "1.50", ("1.20", "1.88"), name="Ki-67", levels=("high", "low")),
        factor("C", "1.60", ("1.20", "2.13"), name="Ki-67", levels=("high", "low")),
    ]
    summary = quietly(review(vague, *splits))
    ratios = summary.row("Ki-67 index", "OS").ratios("adjusted")
    assert [r.label for r in ratios.used] == ["B", "C"]
    assert [(out.study, out.reason) for out in ratios.left_out] == [
        ("A", "scale not clear (ki-67 (continuous), not a split)")
    ]
    one = quietly(review(vague, replace(vague, study="E"), replace(vague, study="F"), splits[0]))
    assert [r.label for r in one.row("Ki-67 index", "OS").ratios("adjusted").used] == ["B"]
    with pytest.warns(HarmonisationWarning, match="the unit is not stated"):
        same = summarize_factors(review(vague, replace(vague, study="E")))
    assert same.row("Ki-67 index", "OS").ratios("adjusted").k == 2


def test_a_step_down_is_turned_into_one_up():
    """HR 1.25 (1.10-1.42) per decrease is 1 / 1.25 = 0.80 (1 / 1.42 to 1 / 1.10) per increase."""
    down = factor("A", "1.25", ("1.10", "1.42"), name="albumin", levels=("per 1 g/dL decrease", ""))
    up = factor("B", "0.85", ("0.75", "0.96"), name="albumin", levels=("per 1 g/dL increase", ""))
    row = summarize_factors(review(down, up)).row("albumin", "OS")
    assert (row.directions.n_worse, row.directions.n_better) == (0, 2)
    ratios = row.ratios("adjusted")
    turned = next(r for r in ratios.used if r.label == "A")
    assert (ratios.k, ratios.scale) == (2, "per g/dl")
    assert (turned.log_hr, turned.log_ci_lower, turned.log_ci_upper) == pytest.approx(
        (math.log(0.8), -math.log(1.42), -math.log(1.10))
    )
    assert turned.orientation == "inverted"


def test_each_reason_of_another_scale_has_its_own_count():
    made = (
        per("A", "per 10%", "1.5", ("1.2", "1.9")),
        per("B", "per 10%", "1.4", ("1.1", "1.8")),
        per("C", "per unit", "1.1", ("1.05", "1.15")),
        factor("D", "1.60", ("1.20", "2.13"), name="Ki-67", levels=("high", "low")),
    )
    with pytest.warns(HarmonisationWarning, match="point the same way"):
        text = summarize_factors(review(*made)).narrative()
    assert "in 2 studies (in 1 of them per unit, not per 10%; in 1 of them a split, not per 10%)" in text
