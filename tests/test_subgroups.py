import json
import re
import warnings
from math import inf, nan
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from netsynth.errors import FewStudiesWarning, InvalidInputError, NarrowIntervalWarning, NetsynthWarning
from netsynth.kernels.tau2 import TAU2_ESTIMATORS
from netsynth.pool import pool_effects
from netsynth.regress import regress_effects
from netsynth.subgroups import compare_subgroups

REFERENCES = Path(__file__).parent / "references"
REFERENCE = json.loads((REFERENCES / "subgroups.json").read_text(encoding="utf-8"))

Y = np.array([-0.51, -0.12, -0.33, 0.4, 0.2, 0.6, 0.1])
SE = np.array([0.18, 0.10, 0.15, 0.3, 0.2, 0.25, 0.12])
GROUP = ["old", "old", "old", "new", "new", "new", "new"]


def quiet(function, *args, **kwargs):
    """The verb without its warnings, for tests of numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        return function(*args, **kwargs)


def close(got, expected, rel, floor=1e-12):
    np.testing.assert_allclose(got, np.asarray(expected, dtype=float), rtol=rel, atol=floor)


def fit(case, **kwargs):
    method = "CE" if case["method"] == "EE" else case["method"]
    return quiet(
        compare_subgroups,
        case["yi"],
        se=np.sqrt(case["vi"]),
        group=case["group"],
        tau2_method=method,
        **kwargs,
    )


def rel(case):
    return 1e-6 if case["method"] == "REML" else 1e-8


# --- reference ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", REFERENCE, ids=lambda case: case["id"])
def test_reference_separate_tau2(case):
    result = fit(case, tau2="separate", ci_method="wald", prediction_method="normal")
    assert list(result.groups) == case["levels"]
    between = case["between_separate"]
    close([result.test.statistic, result.test.df], [between["Qb"], between["df"]], rel(case))
    close(result.test.pvalue, between["p"], 10 * rel(case) * (1 + between["Qb"]))
    assert result.test.df_residual == inf
    for group in result.groups:
        member, expected = result[group], case["separate_tau2"][group]
        assert member.k == expected["k"]
        close(member.estimate, expected["beta"][0], rel(case))
        close(member.se, expected["se"][0], rel(case))
        half = (expected["ci_ub"][0] - expected["ci_lb"][0]) / 2
        close(
            member.confidence_interval(),
            [expected["ci_lb"][0], expected["ci_ub"][0]],
            10 * rel(case),
            rel(case) * half,
        )
        close(member.q, expected["QE"], 1e-8)
        close(100 * member.weight, expected["weights_pct"], rel(case))
        if member.k == 1:  # metafor gives a tau2 of 0 and an I2 of 0; nothing is known of either
            assert np.isnan(member.tau2)
            continue
        close(member.pvalue, expected["pval"][0], 10 * rel(case) * (1 + expected["stat"][0] ** 2), 1e-300)
        close(member.tau2, expected["tau2"], rel(case), 1e-9)
        close(member.q_pvalue, expected["QEp"], 1e-8, 1e-300)
        i2, h2 = (member.i2, member.h2) if case["method"] == "EE" else (member.i2_tau2, member.h2_tau2)
        close(100 * i2, expected["I2"], rel(case), 1e-6)
        close(h2, expected["H2"], rel(case))
        if case["method"] != "EE":
            close(member.tau2_se, expected["se_tau2"], rel(case))
            predicted = expected["predict"]
            close(
                member.prediction_interval(),
                [predicted["pi_lb"], predicted["pi_ub"]],
                10 * rel(case),
                rel(case) * half,
            )
            riley = expected.get("predict_Riley_t_km2") or {}
            if riley.get("pi_lb") is not None:
                close(
                    member.prediction_interval(method="t_km2"),
                    [riley["pi_lb"], riley["pi_ub"]],
                    10 * rel(case),
                    half * rel(case),
                )


@pytest.mark.parametrize("case", [c for c in REFERENCE if "common_tau2" in c], ids=lambda case: case["id"])
def test_reference_common_tau2(case):
    result, expected = fit(case, ci_method="wald"), case["common_tau2"]
    close(result.tau2, expected["tau2"], rel(case), 1e-9)
    close([member.estimate for member in result.results], expected["beta"], rel(case))
    close([member.se for member in result.results], expected["se"], rel(case))
    limits = np.array([member.confidence_interval() for member in result.results]).T
    close(limits, [expected["ci_lb"], expected["ci_ub"]], 10 * rel(case), rel(case))
    test = result.test
    close([test.statistic, test.df], [expected["QM"], expected["QMdf"]], rel(case))
    close(test.pvalue, expected["QMp"], 10 * rel(case) * (1 + expected["QM"]))
    close(result.q_within, expected["QE"], 1e-8)
    close(100 * result.r2, expected["R2"], rel(case), 1e-5)


@pytest.mark.parametrize("case", [c for c in REFERENCE if "common_tau2" in c], ids=lambda case: case["id"])
def test_reference_common_tau2_knapp_hartung(case):
    result, expected = fit(case, ci_method="HK"), case["common_tau2_knha"]
    test = result.test
    close([test.statistic, test.df, test.df_residual], [expected["F"], *expected["QMdf"]], rel(case))
    close(test.pvalue, expected["p"], 10 * rel(case) * (1 + expected["F"]))
    # the errors there are those of the first subgroup and of the others' difference from it
    close([result.results[0].se, *result.difference_frame()["se"]], expected["se"], rel(case))


@pytest.mark.parametrize("case", [c for c in REFERENCE if "Q" in c], ids=lambda case: case["id"])
def test_reference_parts_of_q(case):
    result, expected = fit(case, ci_method="wald"), case["Q"]
    close(
        [result.q, result.q_within, result.q_between],
        [expected[key] for key in ("total", "within", "between")],
        1e-8,
    )
    close(result.test.statistic, expected["between"], 1e-8)
    close(result.test.pvalue, expected["p"], 1e-6)
    df = len(case["yi"]) - len(case["levels"])
    assert result.q_within_pvalue == pytest.approx(stats.chi2.sf(result.q_within, df))


# --- second implementation and properties ------------------------------------------------------------------


@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 4),
    st.sampled_from(sorted(TAU2_ESTIMATORS)),
    st.sampled_from(["wald", "t", "HK", "mHK"]),
)
def test_a_common_tau2_is_a_meta_regression_on_the_group(seed, n_groups, tau2_method, ci_method):
    rng = np.random.default_rng(seed)
    k = 4 * n_groups
    group = np.array(list("abcd")[:n_groups] * 4)
    y, se = rng.standard_normal(k), rng.uniform(0.1, 1.0, k)
    options = {"tau2_method": tau2_method, "ci_method": ci_method}
    compared = quiet(compare_subgroups, y, se=se, group=group, **options)
    regressed = quiet(regress_effects, y, se=se, moderators={"group": group}, **options)
    assert compared.tau2 == pytest.approx(regressed.tau2, rel=1e-6, abs=1e-8)
    assert compared.results[0].estimate == pytest.approx(regressed.coefficient[0], rel=1e-6, abs=1e-7)
    differences = compared.difference_frame()
    assert differences["difference"].tolist() == pytest.approx(
        regressed.coefficient[1:].tolist(), rel=1e-5, abs=1e-6
    )
    assert differences["se"].tolist() == pytest.approx(regressed.se[1:].tolist(), rel=1e-6)
    assert differences["pvalue"].tolist() == pytest.approx(regressed.pvalue[1:].tolist(), rel=1e-5, abs=1e-12)
    limits = regressed.confidence_interval()
    assert differences["ci_lower"].tolist() == pytest.approx(limits.lower[1:].tolist(), rel=1e-5, abs=1e-6)
    test, omnibus = compared.test, regressed.omnibus
    assert (test.df, test.df_residual) == (omnibus.df, omnibus.df_residual)
    assert test.statistic == pytest.approx(omnibus.statistic, rel=1e-5, abs=1e-8)
    assert test.pvalue == pytest.approx(omnibus.pvalue, rel=1e-5)
    if tau2_method != "CE":
        assert compared.r2 == pytest.approx(regressed.r2, abs=1e-6)
    assert compared.q_within == pytest.approx(regressed.q)


@pytest.mark.parametrize("ci_method", ["wald", "t", "HK", "mHK"])
def test_a_separate_tau2_is_pooling_each_group(ci_method):
    result = quiet(compare_subgroups, Y, se=SE, group=GROUP, tau2="separate", ci_method=ci_method)
    for name, place in (("new", slice(3, 7)), ("old", slice(0, 3))):
        alone = quiet(pool_effects, Y[place], se=SE[place], ci_method=ci_method)
        member = result[name]
        assert (member.estimate, member.se, member.df, member.tau2) == (
            alone.estimate,
            alone.se,
            alone.df,
            alone.tau2,
        )
    assert np.isnan([result.tau2, result.r2]).all()
    # the test is by Wald, whatever the intervals are
    means = [member.estimate for member in result.results]
    variances = [1 / (1 / (member.study_se**2 + member.tau2)).sum() for member in result.results]
    z = (means[0] - means[1]) / np.sqrt(sum(variances))
    assert result.test.statistic == pytest.approx(z**2)
    assert result.test.pvalue == pytest.approx(2 * stats.norm.sf(abs(z)))


def test_another_reference():
    result = quiet(compare_subgroups, Y, se=SE, group=GROUP)
    first, second = result.difference_frame(), result.difference_frame(0.9, reference="old")
    assert first.index.tolist() == ["old"]
    assert second.index.tolist() == ["new"]
    assert second["difference"].tolist() == pytest.approx((-first["difference"]).tolist())
    assert second["ci_upper"].iloc[0] < -first["ci_lower"].iloc[0]
    with pytest.raises(InvalidInputError, match=r"^reference must be one of new, old; got 'ancient'\.$"):
        result.difference_frame(reference="ancient")


# --- what comes out ----------------------------------------------------------------------------------------


def test_text():
    result = compare_subgroups(Y, se=SE, group=GROUP, measure="log_hr", ci_method="mHK")
    lines = str(result).splitlines()
    assert lines[0] == "Hazard ratio by subgroup, common tau2 by REML, CI by mHK, k = 7 in 2 subgroups"
    new = result["new"]
    low, _ = new.natural_interval()
    assert lines[2].split()[:4] == ["new", "4", f"{new.natural:.2f}", f"[{low:.2f},"]
    assert lines[4].split()[:2] == ["overall", "7"]
    p = result.test.pvalue
    assert lines[5] == (
        f"  difference between subgroups  F {result.test.statistic:.2f} on 1 and 5 df, p = {p:.3f}   "
        f"R2 {100 * result.r2:.0f}%"
    )
    assert result._repr_html_().count("<tr>") == 4
    separate = quiet(compare_subgroups, Y, se=SE, group=GROUP, tau2="separate")
    assert "separate tau2 by REML" in str(separate)
    assert "chi2" in str(separate)
    common = quiet(compare_subgroups, Y, se=SE, group=GROUP, tau2_method="CE", measure="logit_proportion")
    assert str(common).startswith(
        "Proportion (logit scale) by subgroup, common effect, CI by mHK, k = 7 in 2 subgroups\n"
    )
    assert "tau2" not in str(common)


def test_frames_and_json():
    names = [f"Trial {i}" for i in range(7)]
    result = quiet(compare_subgroups, Y, se=SE, group=GROUP, study=names)
    frame = result.summary_frame(0.9)
    assert frame.index.tolist() == ["new", "old", "overall"]
    assert frame.loc["old", "estimate"] == result["old"].estimate
    assert (frame.loc["new", "ci_lower"], frame.loc["new", "ci_upper"]) == result["new"].confidence_interval(
        0.9
    )
    studies = result.study_frame()
    assert studies.index.tolist() == [*names[3:], *names[:3]]
    assert studies.groupby("subgroup")["weight"].sum().tolist() == pytest.approx([1.0, 1.0])
    kept = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert [row["subgroup"] for row in kept["subgroups"]] == ["new", "old", "overall"]
    assert kept["test"]["pvalue"] == result.test.pvalue
    separate = quiet(compare_subgroups, Y, se=SE, group=GROUP, tau2="separate").to_dict()
    assert (separate["tau2"], separate["test"]["df_residual"]) == (None, "inf")
    with pytest.raises(KeyError, match="no subgroup 'ancient'; there are new, old"):
        result["ancient"]


def test_groups_are_sorted_or_ordered():
    assert quiet(compare_subgroups, Y, se=SE, group=[2, 2, 2, 10, 10, 1, 1]).groups == ("1", "2", "10")
    order = pd.Categorical(GROUP, categories=["old", "none", "new"])
    assert quiet(compare_subgroups, Y, se=SE, group=order).groups == ("old", "new")
    assert quiet(compare_subgroups, Y, se=SE, group=pd.Series(GROUP)).groups == ("new", "old")


# --- doubts ------------------------------------------------------------------------------------------------


def test_a_single_study_stands_for_itself():
    group = ["one", *GROUP[1:]]
    message = "one has one study, so nothing is pooled there; its tau2 is taken as zero."
    with pytest.warns(NetsynthWarning) as said:
        result = compare_subgroups(Y, se=SE, group=group, tau2="separate", ci_method="mHK")
    assert [str(w.message) for w in said] == [
        message,
        "new and old have fewer than 5 studies, too few for a tau2 of their own. Compare with tau2='common'.",
    ]
    assert {w.category for w in said} == {FewStudiesWarning}
    assert said[0].filename == __file__
    assert result.warnings[0].message == message
    assert str(result).splitlines()[-2] == f"  FewStudiesWarning: {message}"
    assert result["one"].se == SE[0]
    with pytest.warns(FewStudiesWarning, match=r"^one has one study, so nothing is pooled there\.$"):
        shared = compare_subgroups(Y, se=SE, group=group, ci_method="wald")
    assert shared["one"].se == pytest.approx(np.sqrt(SE[0] ** 2 + shared.tau2))


def test_a_narrow_interval_is_said_with_the_subgroup():
    y = [0.21, 0.25, 0.18, 0.3, 1.0, 1.2, 0.8, 2.5]
    with pytest.warns(NetsynthWarning) as said:
        result = compare_subgroups(
            y, se=np.full(8, 0.2), group=list("aaaabbbb"), tau2="separate", ci_method="HK"
        )
    member = result["a"]
    low, high = member.confidence_interval()
    share = (high - low) / (2 * 1.959963984540054 * 0.2 / 2)
    text = [str(w.message) for w in said if w.category is NarrowIntervalWarning]
    assert text == [
        f"a: The 95% HK interval is {share:.2f} times as wide as the common-effect one, because the effects agree "
        "better than chance lets expect. Use ci_method='mHK'."
    ]
    equal = [0.5, 0.5, 0.5, 0.5, 0.1, 0.9, 0.3, 1.4]
    with pytest.warns(NetsynthWarning) as said:
        compare_subgroups(equal, se=np.full(8, 0.2), group=list("aaaabbbb"), tau2="separate", ci_method="HK")
    assert "a: The effects are equal, so the HK interval is undefined. Use ci_method='mHK'." in [
        str(w.message) for w in said
    ]


# --- bad input ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"group": GROUP[:3]}, "estimate and group must have the same length; got 7 and 3."),
        (
            {"group": [*GROUP[:6], None]},
            "Study 7: moderator 'group' is missing. Give a value or leave the study out.",
        ),
        (
            {"group": np.ma.array(GROUP, mask=np.arange(7) == 6)},
            "Study 7: moderator 'group' is missing. Give a value or leave the study out.",
        ),
        ({"group": ["all"] * 7}, "All studies are in subgroup 'all'; there is nothing to compare."),
        ({"group": [3] * 7}, "All studies are in subgroup '3'; there is nothing to compare."),
        (
            {"group": list("abcdefg")},
            "7 subgroups of one study each leave nothing to estimate a common tau2 from. Merge subgroups, or use "
            "tau2='separate'.",
        ),
        ({"tau2": "shared"}, "tau2 must be one of common, separate; got 'shared'."),
        ({"tau2_method": "XX"}, f"tau2_method must be one of {', '.join(TAU2_ESTIMATORS)}; got 'XX'."),
        ({"ci_method": "KR"}, "ci_method must be one of wald, t, HK, mHK; got 'KR'."),
        ({"se": [*SE[:6], -1.0]}, "Study 7: se must be positive; got -1 at position 6."),
        ({"estimate": [nan, *Y[1:]]}, "Study 1: estimate must be finite; got nan at position 0."),
        ({"se": SE[:3]}, "estimate and se must have the same length; got 7 and 3."),
    ],
)
def test_bad_input(change, message):
    call = {"estimate": Y, "se": SE, "group": GROUP} | change
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        quiet(compare_subgroups, call.pop("estimate"), **call)
