import json
import re

import numpy as np
import pytest
from scipy import stats

from netsynth.errors import InvalidInputError
from netsynth.results.contrast import contrast_of, wald_test

COEFFICIENT = np.array([0.4, -0.3, 0.1])
COVARIANCE = np.array([[0.04, 0.01, 0.0], [0.01, 0.09, 0.02], [0.0, 0.02, 0.05]])


def contrast(weights, *, df=np.inf, label=None):
    return contrast_of(
        ("a", "b", "c"), COEFFICIENT, COVARIANCE, df=df, weights=weights, label=label, warnings=()
    )


def test_estimates_errors_and_intervals():
    found = contrast([[1, -1, 0], [0, 0, 2]], df=7)
    assert found.estimate == pytest.approx([0.7, 0.2])
    assert found.se == pytest.approx([np.sqrt(0.04 + 0.09 - 0.02), np.sqrt(4 * 0.05)])
    half = stats.t.isf(0.05, 7) * found.se
    assert found.confidence_interval(0.9).lower == pytest.approx(found.estimate - half)
    assert found.pvalue == pytest.approx(2 * stats.t.sf(np.abs(found.estimate / found.se), 7))
    assert found.label == ("a - b", "2 x c")
    assert found.summary_frame().loc["a - b", "estimate"] == pytest.approx(0.7)


def test_joint_tests():
    chi2 = COEFFICIENT @ np.linalg.inv(COVARIANCE) @ COEFFICIENT
    assert wald_test(COEFFICIENT, COVARIANCE, np.inf) == pytest.approx(
        (chi2, 3, np.inf, stats.chi2.sf(chi2, 3))
    )
    assert wald_test(COEFFICIENT, COVARIANCE, 9) == pytest.approx(
        (chi2 / 3, 3, 9, stats.f.sf(chi2 / 3, 3, 9))
    )
    far = wald_test(np.array([12.0]), np.eye(1), np.inf)
    assert far.pvalue == pytest.approx(2 * stats.norm.sf(12.0), rel=1e-9)  # 4e-33


def test_text_and_html():
    lines = str(contrast(np.eye(3)[:2], label=["first", "second"], df=9)).splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "Contrasts on the scale of pooling, t on 9 df",
        "contrast estimate 95% CI p",
        "first 0.400 [-0.0524, 0.852] p = 0.077",
        "second -0.300 [-0.979, 0.379] p = 0.34",
        "all zero: F 2.91 on 2 and 9 df, p = 0.11",  # 0.0204 / 0.0035 / 2
    ]
    one = contrast([1, 0, 0])
    assert str(one).splitlines()[0] == "Contrasts on the scale of pooling, normal"
    assert "all zero" not in str(one)
    assert "chi2" in str(contrast(np.eye(3)))
    assert one._repr_html_().count("<tr>") == 2


def test_the_dict_is_json():
    plain = contrast(np.eye(3)).to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["df"] == "inf"
    assert plain["contrasts"][1]["label"] == "b"


@pytest.mark.parametrize(
    ("weights", "label", "message"),
    [
        ([1, -1], None, "weights must be finite, one for each of a, b and c; got shape (1, 2)."),
        ([1, np.nan, 0], None, "weights must be finite, one for each of a, b and c; got shape (1, 3)."),
        (
            np.ones((1, 1, 3)),
            None,
            "weights must be finite, one for each of a, b and c; got shape (1, 1, 3).",
        ),
        (
            [[1, 0, 0], [2, 0, 0]],
            None,
            "weights must be independent: one combination is zero or follows from the others.",
        ),
        ([1, 0, 0], ["x", "y"], "label must have one name for each of 1 combination; got 2."),
    ],
)
def test_what_is_no_contrast(weights, label, message):
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        contrast(weights, label=label)
