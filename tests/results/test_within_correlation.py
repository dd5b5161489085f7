import json
import re
import warnings

import numpy as np
import pytest

from netsynth.errors import ConvergenceError, InvalidInputError, NetsynthWarning
from netsynth.kernels.multivariate_fit import BetweenFit
from netsynth.multivariate import pool_multivariate

Y = np.array(
    [[-0.4, -0.2], [-0.1, np.nan], [-0.6, -0.5], [np.nan, 0.1], [-0.3, -0.3], [0.1, 0.2], [-0.2, -0.1]]
)
SE = np.array([[0.1, 0.2], [0.15, 1], [0.2, 0.1], [1, 0.3], [0.1, 0.1], [0.25, 0.2], [0.1, 0.15]])


def quiet(correlation=0.5, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        return pool_multivariate(
            Y, se=SE, correlation=correlation, outcomes=["OS", "PFS"], measure="log_hr", **options
        )


@pytest.mark.parametrize("method", ["REML", "ML", "MM", "CE"])
@pytest.mark.parametrize("ci_method", ["wald", "HK"])
def test_each_assumption_is_an_analysis(method, ci_method):
    """All at once they are what they are one by one, and the assumption made before does not matter."""
    together = quiet(method=method, ci_method=ci_method).over_correlation([0.0, 0.4, 0.8])
    for i, rho in enumerate([0.0, 0.4, 0.8]):
        alone = quiet(rho, method=method, ci_method=ci_method)
        np.testing.assert_allclose(together.coefficient[i], alone.coefficient, rtol=1e-6)
        np.testing.assert_allclose(together.se[i], alone.se, rtol=1e-6)
        np.testing.assert_allclose(together.psi[i], alone.psi, rtol=1e-5, atol=1e-9)
        assert together.log_likelihood[i] == pytest.approx(alone.log_likelihood, abs=1e-9, nan_ok=True)
        np.testing.assert_allclose(
            together.confidence_interval(0.9).lower[i], alone.confidence_interval(0.9).lower, rtol=1e-6
        )


def test_matrices_are_assumptions_too():
    found = quiet().over_correlation([[[1, 0.3], [0.3, 1]], [[1, -0.3], [-0.3, 1]]])
    assert found.label == ("matrix 1", "matrix 2")
    np.testing.assert_allclose(found.coefficient[0], quiet(0.3).coefficient, rtol=1e-6)


def test_frame_dict_and_text():
    found = quiet(ci_method="wald", method="CE").over_correlation([0, 0.5])
    frame = found.summary_frame()
    assert frame.index.names == ["within", "term"]
    assert frame.loc[("0.5", "PFS"), "estimate"] == found.coefficient[1, 1]
    plain = found.to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    lines = str(found).splitlines()
    assert lines[0] == "Sensitivity to the correlation within studies, common effect, 95% CI by wald"
    assert lines[2].split()[0] == "0"
    assert found._repr_html_().count("<tr>") == 3
    assert str(quiet().over_correlation([0])).startswith(
        "Sensitivity to the correlation within studies, unstructured by REML, 95% CI by mHK"
    )


def test_natural_limits_are_hazard_ratios():
    found = quiet(ci_method="wald").over_correlation([0, 0.5])
    np.testing.assert_allclose(found.natural, np.exp(found.coefficient))
    np.testing.assert_allclose(found.natural_interval().upper, np.exp(found.confidence_interval().upper))


def test_one_that_does_not_arrive_is_named(monkeypatch):
    result = quiet()

    def astray(*_args, **_options):
        return BetweenFit(np.stack([np.eye(2)] * 2), np.array([True, False]), 1000)

    monkeypatch.setattr("netsynth.results.within_correlation.psi_between", astray)
    message = "The covariance between studies by REML did not converge at 0.5."
    with pytest.raises(ConvergenceError, match=f"^{re.escape(message)}$") as raised:
        result.over_correlation([0, 0.5])
    assert raised.value.last == 2.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (0.5, "values must be a list of correlations or of correlation matrices; got shape ()."),
        ([], "values must be a list of correlations or of correlation matrices; got shape (0,)."),
        ([0.5, 1.0], "correlation of 2 outcomes must lie above -1.00 and below 1; got 1."),
        ([np.eye(3)], "correlation must be a number or a 2 by 2 matrix; got shape (3, 3)."),
    ],
)
def test_what_is_no_correlation(values, message):
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        quiet().over_correlation(values)


def test_one_outcome_has_none():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        result = pool_multivariate(Y[[0, 1, 2, 4], :1], se=SE[[0, 1, 2, 4], :1])
    with pytest.raises(InvalidInputError, match=r"^One outcome has no correlation within studies\.$"):
        result.over_correlation([0])
