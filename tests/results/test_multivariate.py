"""What an analysis of several outcomes says, and in what form."""

import json
import re
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from netsynth.errors import InvalidInputError, NetsynthWarning
from netsynth.kernels.multivariate import gls
from netsynth.multivariate import pool_multivariate

Y = np.array([[0.47, -0.32], [0.20, -0.60], [0.40, -0.12], [0.26, -0.31], [0.56, -0.39]])
S = np.array(
    [
        [[0.0075, 0.0030], [0.0030, 0.0077]],
        [[0.0057, 0.0009], [0.0009, 0.0008]],
        [[0.0021, 0.0007], [0.0007, 0.0014]],
        [[0.0029, 0.0009], [0.0009, 0.0015]],
        [[0.0148, 0.0072], [0.0072, 0.0304]],
    ]
)
YEAR = np.array([0.0, -1, -4, 4, 5])


def pooled(y=Y, **options):
    given = {"covariance": S, "outcomes": ["PD", "AL"], **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        return pool_multivariate(y, **given)


@pytest.fixture
def result():
    return pooled(ci_method="wald")


def test_text_says_model_estimate_and_doubt(result):
    assert [" ".join(line.split()) for line in str(result).splitlines()] == [
        "Effect, 2 outcomes, random effects, unstructured by REML, CI by wald, k = 5",
        "estimate 95% CI 95% PI tau studies",
        "PD 0.353 [0.238, 0.469] [-0.0389, 0.746] 0.108 5",
        "AL -0.339 [-0.512, -0.167] [-0.979, 0.300] 0.181 5",
        "correlation between studies: PD and AL 0.61",
        "I2 94% Q 128.23 on 8 df, p < 0.001",
        "correlation within studies: given",
        "FewStudiesWarning: 5 studies for 3 parameters of the covariance between studies: it is hardly known, and "
        "intervals do not show that.",
    ]


def test_text_of_the_common_effect_and_of_one_outcome():
    text = str(pooled(method="CE"))
    assert text.startswith("Effect, 2 outcomes, common effect, CI by mHK, k = 5")
    assert "PI" not in text
    assert "tau" not in text
    one = str(pooled(Y[:, :1], covariance=S[:, :1, :1], outcomes=["PD"]))
    assert one.startswith("Effect, 1 outcome, random effects, diagonal by REML, CI by mHK, k = 5")
    assert "correlation" not in one


def test_text_of_survival_is_percent_and_of_slopes_is_not():
    y = np.log(-np.log(np.array([[0.8, 0.5], [0.7, 0.45], [0.9, 0.6], [0.75, 0.4], [0.85, 0.55]])))
    result = pooled(y, measure="cloglog_survival", moderators={"year": YEAR}, structure="heterogeneous_ar1")
    lines = str(result).splitlines()
    assert lines[0].startswith(
        "Survival (log(-log) scale), 2 outcomes, random effects, heterogeneous AR(1) by REML"
    )
    assert re.match(r"  PD +\d\d\.\d% +\[\d\d\.\d%, \d\d\.\d%\]", lines[2])
    assert re.match(r"  PD: year +-?0\.\d+ +\[-?0\.\d+, -?0\.\d+\]$", lines[4])
    ends = result.summary_frame()
    assert (ends.natural_lower[:2] < ends.natural[:2]).all()
    assert np.isnan(result.pvalue[:2]).all()  # survival has no value of no effect
    assert np.isfinite(result.pvalue[2:]).all()


def test_percent_points_are_printed_and_nothing_else_changes():
    points = pooled(ci_method="wald", measure="survival_difference", moderators={"year": YEAR})
    plain = pooled(ci_method="wald", moderators={"year": YEAR})
    np.testing.assert_array_equal(points.coefficient, plain.coefficient)
    lines, numbers = str(points).splitlines(), r"(-?[\d.]+)  \[(-?[\d.]+), (-?[\d.]+)\]"
    assert lines[0].startswith("Difference of survival, % points, 2 outcomes")
    low, high = plain.confidence_interval()
    for i, line in enumerate(lines[2:6]):
        shown = [float(each) for each in re.search(numbers, line).groups()]
        assert shown == pytest.approx([100 * plain.coefficient[i], 100 * low[i], 100 * high[i]], rel=6e-3)
    assert float(lines[2].split()[-2]) == pytest.approx(100 * plain.tau[0], rel=6e-3)


def test_the_subject_is_said_with_the_measure(result):
    said = replace(result, subject="OS, new against old")
    assert str(said).startswith("Effect, OS, new against old, 2 outcomes, random effects")
    assert said.to_dict()["subject"] == "OS, new against old"


def test_correlations_of_what_does_not_vary_are_not_printed():
    still = pooled(np.tile([0.3, -0.3], (5, 1)), covariance=S)
    assert still.tau2.tolist() == [0, 0]
    assert "correlation between studies" not in str(still)


def test_frames_are_unrounded(result):
    frame = result.summary_frame(level=0.9)
    assert frame.index.tolist() == ["PD", "AL"]
    assert frame.index.name == "term"
    half = stats.norm.isf(0.05) * np.sqrt(np.diag(result.model_covariance))
    np.testing.assert_allclose(frame.ci_lower, result.coefficient - half)
    np.testing.assert_allclose(frame.tau2, np.diag(result.psi))
    pd.testing.assert_frame_equal(
        result.between_frame(),
        pd.DataFrame(result.psi, index=pd.Index(["PD", "AL"], name="outcome"), columns=["PD", "AL"]),
    )
    studies = result.study_frame()
    assert studies.index.names == ["study", "outcome"]
    np.testing.assert_allclose(studies.estimate, Y.ravel())
    np.testing.assert_allclose(studies.se, np.sqrt(np.diagonal(S, axis1=1, axis2=2)).ravel())
    between = sorted([Y[0, 0], result.coefficient[0]])
    assert between[0] < studies.effect.iloc[0] < between[1]


def test_the_dict_is_json(result):
    plain = result.to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["df"] == "inf"
    assert plain["coefficients"][1]["term"] == "AL"
    assert plain["coefficients"][1]["estimate"] == result.coefficient[1]
    assert json.dumps(pooled(method="MM").to_dict(), allow_nan=False)


def test_html_has_a_row_a_coefficient(result):
    assert result._repr_html_().count("<tr>") == 3
    assert "unstructured by REML" in result._repr_html_()


def test_arrays_are_read_only(result):
    for name in ("coefficient", "model_covariance", "psi", "study_estimate", "study_covariance", "design"):
        assert not getattr(result, name).flags.writeable, name


def test_prediction_by_its_formula(result):
    spread = np.sqrt(np.diag(result.psi) + np.diag(result.model_covariance))
    for method, df in (("normal", np.inf), ("t_km1", 4), ("t_km2", 3)):
        got = result.prediction_interval(0.9, method=method)
        np.testing.assert_allclose(got.upper, result.estimate + stats.t.isf(0.05, df) * spread)
    assert np.isnan(pooled(method="CE").prediction_interval().lower).all()
    moderated = pooled(moderators={"year": YEAR})
    spread = np.sqrt(np.diag(moderated.prediction_covariance))
    half = stats.t.isf(0.025, 2) * spread  # 5 studies, 2 coefficients, 1 variance
    np.testing.assert_allclose(moderated.prediction_interval().upper, moderated.estimate + half)


def test_regions_hold_their_share(result):
    rng = np.random.default_rng(3)
    edge = result.region("PD", "AL", level=0.8)
    drawn = rng.multivariate_normal(result.estimate, result.covariance, 20_000)
    radius = np.einsum(
        "ia,ab,ib->i", drawn - result.estimate, np.linalg.inv(result.covariance), drawn - result.estimate
    )
    at_edge = edge - result.estimate
    limit = np.einsum("ia,ab,ib->i", at_edge, np.linalg.inv(result.covariance), at_edge)
    np.testing.assert_allclose(limit, limit[0])
    assert (radius < limit[0]).mean() == pytest.approx(0.8, abs=0.01)  # three standard errors
    prediction = result.region("PD", "AL", kind="prediction") - result.estimate
    limit = np.einsum("ia,ab,ib->i", prediction, np.linalg.inv(result.prediction_covariance), prediction)
    np.testing.assert_allclose(limit, 2 * stats.f.isf(0.05, 2, 3))
    assert np.isnan(pooled(method="CE").region("PD", "AL", kind="prediction")).all()
    assert result.region("AL", "PD")[:, 1] == pytest.approx(result.region("AL", "PD")[:, 1])


def test_i2_from_volumes_and_from_q(result):
    common = np.linalg.inv(np.linalg.inv(S).sum(0))
    ratio = np.linalg.det(result.model_covariance) / np.linalg.det(common)
    assert result.i2_r == pytest.approx(1 - 1 / np.sqrt(ratio))
    each = np.diag(common) / np.diag(result.model_covariance)
    np.testing.assert_allclose(result.i2_r_outcome, 1 - each)
    assert result.i2 == pytest.approx(1 - 8 / result.q)
    assert pooled(method="CE").i2_r == 0


def test_borrowing_of_strength_by_hand(result):
    alone = 1 / (1 / (np.diagonal(S, axis1=1, axis2=2) + result.tau2)).sum(0)
    np.testing.assert_allclose(result.borrowing_of_strength, 1 - np.diag(result.model_covariance) / alone)
    untied = pooled(covariance=S * np.eye(2), structure="diagonal")
    np.testing.assert_allclose(untied.borrowing_of_strength, 0, atol=1e-12)
    y = Y.copy()
    y[2:, 1] = np.nan
    scarce = pooled(y, ci_method="wald", structure="compound_symmetry", covariance=S + 0.02)
    assert scarce.borrowing_of_strength[1] > 0.05


def test_likelihood_criteria(result):
    height = result.log_likelihood_reml
    assert result.n_parameters == 5
    assert result.aic == pytest.approx(10 - 2 * height)
    assert result.bic == pytest.approx(5 * np.log(8) - 2 * height)
    assert result.aicc == pytest.approx(10 * 8 / 2 - 2 * height)
    assert pooled(method="CE").n_parameters == 2
    assert np.isnan(pooled(method="MM").log_likelihood)


def test_contrasts_are_linear(result):
    difference = result.contrast([1, -1])
    v = result.covariance
    assert difference.estimate[0] == pytest.approx(result.coefficient[0] - result.coefficient[1])
    assert difference.se[0] == pytest.approx(np.sqrt(v[0, 0] + v[1, 1] - 2 * v[0, 1]))
    assert difference.label == ("PD - AL",)
    assert result.contrast([[0.5, 2]], label=["mix"]).label == ("mix",)
    assert result.contrast([0.5, 2]).label == ("0.5 x PD + 2 x AL",)
    both = result.contrast(np.eye(2)).test
    assert both == pytest.approx(result.test)


def test_predicted_effects_shrink_to_the_mean_without_variance():
    none = pooled(method="CE").study_effects()
    assert none.effect == pytest.approx(
        np.tile(gls(Y, S, np.tile(np.eye(2), (5, 1, 1)), np.zeros((2, 2))).coefficient, (5, 1))
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda r: r.confidence_interval(95),
            "level must be a fraction between 0 and 1, such as 0.95; got 95.",
        ),
        (lambda r: r.confidence_interval(method="KR"), "method must be one of wald, t, HK, mHK; got 'KR'."),
        (
            lambda r: r.prediction_interval(method="HK_km1"),
            "method must be one of normal, t_km1, t_km2; got 'HK_km1'.",
        ),
        (lambda r: r.region("PD", "X"), "outcome must be one of PD, AL; got 'X'."),
        (lambda r: r.region("PD", "AL", kind="x"), "kind must be one of confidence, prediction; got 'x'."),
    ],
)
def test_questions_without_an_answer(result, call, message):
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        call(result)
