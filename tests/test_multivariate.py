import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from netsynth.errors import (
    BoundaryWarning,
    ConvergenceError,
    FewStudiesWarning,
    InvalidInputError,
    NarrowIntervalWarning,
    NetsynthWarning,
)
from netsynth.kernels.covariance_structures import STRUCTURES
from netsynth.kernels.multivariate_fit import BetweenFit
from netsynth.multivariate import pool_multivariate
from netsynth.pool import pool_effects

REFERENCES = Path(__file__).parent / "references"
MULTIVARIATE = json.loads((REFERENCES / "multivariate.json").read_text(encoding="utf-8"))
#: metafor goes to a correlation of -1 there, which four outcomes cannot all have with each other.
NO_COVARIANCE = "fine1993_CS_REML"
FITS = [fit for fit in MULTIVARIATE["fits"] if fit["id"] != NO_COVARIANCE]
IDS = [fit["id"] for fit in FITS]
METAFOR = [fit for fit in FITS if fit["package"] == "metafor"]
METAFOR_IDS = [fit["id"] for fit in METAFOR]
MIXMETA = [fit for fit in FITS if fit["package"] == "mixmeta"]

# Berkey et al. (1998), Stat Med 17:2537-2550: probing depth and attachment level in five trials.
BERKEY_Y = np.array([[0.47, -0.32], [0.20, -0.60], [0.40, -0.12], [0.26, -0.31], [0.56, -0.39]])
BERKEY_S = np.array(
    [
        [[0.0075, 0.0030], [0.0030, 0.0077]],
        [[0.0057, 0.0009], [0.0009, 0.0008]],
        [[0.0021, 0.0007], [0.0007, 0.0014]],
        [[0.0029, 0.0009], [0.0009, 0.0015]],
        [[0.0148, 0.0072], [0.0072, 0.0304]],
    ]
)
BERKEY = {"covariance": BERKEY_S, "outcomes": ["PD", "AL"]}
# Gliomas (Fine 1993), chemotherapy arms: patients, and survivors at 6, 12, 18 and 24 months.
# fmt: off
GLIOMA_N = np.array([19, 34, 72, 22, 70, 183, 26, 61, 36, 45, 246, 386, 59, 45, 14, 26])
GLIOMA = np.array([
    [16, 22, 44, 19, 62, 130, 24, 51, 30, 43, 169, 279, 56, 42, 14, 21],
    [11, 18, 21, 14, 42, 80, 13, 37, 23, 19, 106, 170, 34, 18, 13, 12],
    [4, 15, 10, 5, 26, 47, 5, 19, 13, 8, 67, 97, 21, 9, 12, 6],
    [4, 15, 3, 2, 15, 30, 3, 11, 10, 6, 51, 73, 20, 9, 9, 5]]).T
# fmt: on


def quiet(*args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        return pool_multivariate(*args, **kwargs)


def refit(fit, **options):
    data = MULTIVARIATE["data"][fit["data"]]
    chosen = {
        "structure": fit["structure"],
        "method": fit["method"],
        "ci_method": "t" if fit["test"] == "t" else "wald",
        "moderators": {"x": data["moderator"]} if fit["moderated"] else None,
        **options,
    }
    covariance = np.array(data["covariance"], float)
    return quiet(np.array(data["estimate"], float), covariance=covariance, **chosen)


def refuses(message, *args, **kwargs):
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        quiet(*args, **kwargs)


# --- published ---------------------------------------------------------------------------------------------


def test_published_berkey():
    pooled = quiet(BERKEY_Y, **BERKEY, method="ML", ci_method="wald")
    assert pooled.coefficient == pytest.approx([0.3448, -0.3379], abs=5.1e-5)
    assert pooled.se == pytest.approx([0.0495, 0.0798], abs=5.1e-5)
    assert pooled.tau2 == pytest.approx([0.0070, 0.0261], abs=5.1e-5)
    assert pooled.correlation[0, 1] == pytest.approx(0.6992, abs=5.1e-5)


def test_published_ishak():
    # Ishak et al. (2007), Clin Trials 4:525-539: deep-brain stimulation, 3 to 12 months later.
    (fit,) = (fit for fit in FITS if fit["id"] == "ishak2007_HAR_REML")
    pooled = refit(fit)
    assert pooled.coefficient == pytest.approx([-25.9047, -27.4608, -28.6559, -26.4934], abs=5.1e-5)
    assert pooled.tau2 == pytest.approx([22.7258, 33.7295, 26.1426, 31.1803], abs=5.1e-5)
    assert pooled.correlation[0, 1] == pytest.approx(0.8832, abs=5.1e-5)


def test_published_van_houwelingen():
    # van Houwelingen, Arends & Stijnen (2002), Stat Med 21:589-624: log odds of tuberculosis, BCG and control.
    (fit,) = (fit for fit in FITS if fit["id"] == "colditz1994_UN_ML")
    pooled = refit(fit)
    assert pooled.coefficient == pytest.approx([-4.8337, -4.0960], abs=5.1e-5)
    assert pooled.tau2 == pytest.approx([1.4314, 2.4073], abs=5.1e-5)
    assert pooled.correlation[0, 1] == pytest.approx(0.9467, abs=5.1e-5)


def test_published_gliomas_without_ties():
    # Log odds ratios by time, each by itself: Trikalinos & Olkin (2012), Clin Trials 9:610-620.
    (fit,) = (fit for fit in FITS if fit["id"] == "fine1993_DIAG_REML_independent")
    pooled = refit(fit)
    assert pooled.coefficient == pytest.approx([0.2219, 0.3925, 0.4868, 0.4066], abs=5.1e-5)
    assert pooled.se == pytest.approx([0.1049, 0.0896, 0.1131, 0.1847], abs=5.1e-5)
    assert pooled.tau2 == pytest.approx([0, 0, 0, 0.2065], abs=5.1e-5)


def gliomas():
    """Survival at four times on the log(-log) scale, its covariance from conditional survival."""
    at_risk = np.column_stack([GLIOMA_N, GLIOMA[:, :3]])
    conditional = (GLIOMA + 0.25) / (at_risk + 0.5)
    log_survival = np.log(conditional).cumsum(1)
    spread = ((1 - conditional) / (conditional * (at_risk + 0.5))).cumsum(1)
    first = np.minimum.outer(np.arange(4), np.arange(4))
    covariance = spread[:, first] / (log_survival[:, :, None] * log_survival[:, None, :])
    return np.log(-log_survival), covariance


def test_survival_over_time_of_gliomas():
    # Worked out with metafor 3.8, rma.mv with struct = "CS" and "UN".
    y, covariance = gliomas()
    common = quiet(y, covariance=covariance, method="CE", measure="cloglog_survival")
    assert common.natural == pytest.approx([0.71834, 0.43947, 0.24553, 0.20632], abs=5.1e-6)
    tied = quiet(y, covariance=covariance, structure="compound_symmetry")
    assert tied.coefficient == pytest.approx([-1.2068, -0.2863, 0.2751, 0.4409], abs=5.1e-5)
    assert tied.tau2 == pytest.approx([0.0404] * 4, abs=5.1e-5)
    assert tied.correlation[0, 1] == pytest.approx(0.8804, abs=5.1e-5)
    assert tied.log_likelihood == pytest.approx(-17.7019, abs=5.1e-5)
    assert quiet(y, covariance=covariance).log_likelihood == pytest.approx(-6.9553, abs=5.1e-5)


# --- reference ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fit", METAFOR, ids=METAFOR_IDS)
def test_reference_metafor(fit):
    """Its optimiser stops at some 1e-8 of the objective, so at about 1e-5 of the rest; Q is a closed form."""
    pooled, out = refit(fit), fit["output"]
    near = {"rtol": 5e-5, "atol": 1e-6}
    np.testing.assert_allclose(pooled.coefficient, out["beta"], **near)
    np.testing.assert_allclose(pooled.covariance, out["vb"], rtol=5e-5, atol=1e-4 * np.max(out["vb"]))
    np.testing.assert_allclose(pooled.se, out["se"], **near)
    np.testing.assert_allclose(np.stack(pooled.confidence_interval()), [out["ci_lb"], out["ci_ub"]], **near)
    # from 0.1 down to 1e-175
    np.testing.assert_allclose(np.log(pooled.pvalue), np.log(out["pval"]), rtol=1e-4)
    tau2 = pooled.tau2[:1] if STRUCTURES[pooled.structure].one_scale else pooled.tau2
    np.testing.assert_allclose(tau2, out["tau2"], rtol=1e-4, atol=1e-4 * pooled.tau2.max())
    assert pooled.q == pytest.approx(out["QE"], rel=1e-8)
    assert pooled.q_pvalue == pytest.approx(out["QEp"], rel=1e-7)
    assert pooled.test.statistic == pytest.approx(out["QM"], rel=1e-5)
    if out["QMp"] > 0:  # else it is below all numbers
        assert np.log(pooled.test.pvalue) == pytest.approx(np.log(out["QMp"]), rel=1e-4)
    assert pooled.log_likelihood >= out[f"ll_{fit['method']}"] - 1e-10
    # at the summit of the one likelihood the other has a slope
    assert pooled.log_likelihood == pytest.approx(out[f"ll_{fit['method']}"], abs=1e-8)
    assert pooled.log_likelihood_ml == pytest.approx(out["ll_ML"], abs=5e-5)
    assert pooled.log_likelihood_reml == pytest.approx(out["ll_REML"], abs=5e-5)
    for name in ("AIC", "BIC", "AICc"):
        if name in out:
            assert getattr(pooled, name.lower()) == pytest.approx(out[name], abs=1e-6)
    if "zval" in out:
        np.testing.assert_allclose(pooled.statistic, out["zval"], rtol=5e-5)
    if pooled.structure != "diagonal" and len(out["rho"]) == 1 and (pooled.tau2 > 0).all():
        assert pooled.correlation[0, 1] == pytest.approx(out["rho"][0], abs=1e-4)


@pytest.mark.parametrize("fit", MIXMETA, ids=[fit["id"] for fit in MIXMETA])
def test_reference_mixmeta(fit):
    pooled, out = refit(fit), fit["output"]
    near = {"rtol": 1e-6, "atol": 1e-7}
    np.testing.assert_allclose(pooled.coefficient, out["coef"], **near)
    np.testing.assert_allclose(pooled.covariance, out["vcov"], **near)
    if out["Psi"] is not None:
        np.testing.assert_allclose(pooled.psi, out["Psi"], rtol=1e-6, atol=2e-7)
    if out["logLik"] is not None:
        assert pooled.log_likelihood == pytest.approx(out["logLik"], rel=1e-9)
    if "Q" in out:
        np.testing.assert_allclose([pooled.q, *pooled.q_outcome], out["Q"], rtol=1e-8)
        assert [pooled.df_q, *pooled.df_q_outcome] == out["df"]
        # theirs is 1 - cdf, which is 0 from 1e-16 on
        np.testing.assert_allclose(
            [pooled.q_pvalue, *pooled.q_outcome_pvalue], out["pval"], rtol=1e-8, atol=1e-15
        )


# --- properties --------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 10**6), k=st.integers(4, 12), between=st.sampled_from([0.0, 0.3, 3.0]))
@settings(max_examples=40)
def test_one_outcome_is_pool_effects(seed, k, between):
    rng = np.random.default_rng(seed)
    se = np.exp(rng.uniform(-2, 0.5, k))
    y = rng.normal(0.3, np.sqrt(se**2 + between))
    for method in ("REML", "ML", "CE"):
        for ci_method in ("wald", "t", "HK", "mHK"):
            one = quiet(y[:, None], se=se[:, None], method=method, ci_method=ci_method)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NetsynthWarning)
                pooled = pool_effects(y, se=se, tau2_method=method, ci_method=ci_method)
            got = [one.estimate[0], one.se[0], one.tau2[0], one.q, one.pvalue[0], one.i2]
            expected = [pooled.estimate, pooled.se, pooled.tau2, pooled.q, pooled.pvalue, pooled.i2]
            assert got == pytest.approx(expected, rel=1e-6, abs=1e-9)
            ci, pi = one.confidence_interval(), one.prediction_interval()
            assert [ci.lower[0], ci.upper[0]] == pytest.approx(
                pooled.confidence_interval(), rel=1e-6, abs=1e-8
            )
            prediction = pooled.prediction_interval()
            assert [pi.lower[0], pi.upper[0]] == pytest.approx(prediction, rel=1e-6, abs=1e-8, nan_ok=True)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_outcomes_in_another_order(structure):
    y, covariance = gliomas()
    order = [3, 2, 1, 0] if "ar1" in structure else [2, 0, 3, 1]  # a series reads the same backwards
    first = quiet(y, covariance=covariance, structure=structure)
    second = quiet(y[:, order], covariance=covariance[:, order][:, :, order], structure=structure)
    np.testing.assert_allclose(second.coefficient, first.coefficient[order], rtol=1e-6)
    np.testing.assert_allclose(second.psi, first.psi[order][:, order], rtol=1e-5, atol=1e-8)
    assert second.log_likelihood == pytest.approx(first.log_likelihood, abs=1e-9)


@pytest.mark.parametrize("method", ["REML", "ML", "CE"])
def test_what_is_missing_is_what_has_no_end_of_variance(method):
    y, covariance = gliomas()
    gone = [(3, 2), (3, 3), (9, 0)]
    missing, vague = y.copy(), covariance.copy()
    for i, j in gone:
        missing[i, j] = np.nan
        vague[i, j, :] = vague[i, :, j] = 0.0
        vague[i, j, j] = 1e7
    first = quiet(missing, covariance=covariance, method=method)
    second = quiet(y, covariance=vague, method=method)
    np.testing.assert_allclose(first.coefficient, second.coefficient, rtol=1e-4)
    np.testing.assert_allclose(first.psi, second.psi, rtol=1e-3, atol=1e-6)
    assert first.n_studies.tolist() == [15, 16, 15, 15]
    assert first.n_estimates == 61


def test_what_is_masked_is_missing():
    y, covariance = gliomas()
    missing = y.copy()
    missing[3, 2] = np.nan
    first = quiet(missing, covariance=covariance)
    second = quiet(np.ma.array(y, mask=np.isnan(missing)), covariance=covariance)
    np.testing.assert_allclose(second.coefficient, first.coefficient, rtol=1e-12)


def test_a_study_apart_from_its_order():
    shuffled = [3, 0, 4, 2, 1]
    first = quiet(BERKEY_Y, **BERKEY)
    second = quiet(BERKEY_Y[shuffled], covariance=BERKEY_S[shuffled])
    np.testing.assert_allclose(second.coefficient, first.coefficient, rtol=1e-8)
    np.testing.assert_allclose(second.psi, first.psi, rtol=1e-6)


def test_errors_and_a_correlation_make_a_covariance():
    se = np.sqrt(np.diagonal(BERKEY_S, axis1=1, axis2=2))
    given_both = se[:, :, None] * se[:, None, :] * np.array([[1, 0.4], [0.4, 1]])
    expected = quiet(BERKEY_Y, covariance=given_both)
    for correlation in (0.4, [[1, 0.4], [0.4, 1]]):
        pooled = quiet(BERKEY_Y, se=se, correlation=correlation)
        np.testing.assert_allclose(pooled.coefficient, expected.coefficient, rtol=1e-10)
    assert quiet(BERKEY_Y, se=se, correlation=0.4).within == "0.4 assumed"
    assert pooled.within == "matrix assumed"
    assert expected.within == "given"


def test_a_moderator_moves_the_reference():
    year = np.array([1983.0, 1982, 1979, 1987, 1988])
    here = quiet(BERKEY_Y, **BERKEY, moderators={"year": year - 1983})
    there = quiet(BERKEY_Y, **BERKEY, moderators={"year": year - 1985})
    assert here.terms == ("PD", "AL", "PD: year", "AL: year")
    np.testing.assert_allclose(here.coefficient[2:], there.coefficient[2:], rtol=1e-6)
    moved = here.contrast([[1, 0, 2, 0], [0, 1, 0, 2]])
    np.testing.assert_allclose(moved.estimate, there.estimate, rtol=1e-6)
    np.testing.assert_allclose(moved.se, there.se[:2], rtol=1e-6)


def test_hk_of_several_outcomes_by_its_formula():
    pooled = quiet(BERKEY_Y, **BERKEY)
    inverse = np.linalg.inv(BERKEY_S + pooled.psi)
    residual = BERKEY_Y - pooled.estimate
    factor = np.einsum("ka,kab,kb->", residual, inverse, residual) / 8
    assert pooled.df == 8
    np.testing.assert_allclose(pooled.covariance, factor * np.linalg.inv(inverse.sum(0)), rtol=1e-9)
    half = stats.t.isf(0.05, 8) * np.sqrt(np.diag(pooled.covariance))
    np.testing.assert_allclose(pooled.confidence_interval(0.9).upper, pooled.estimate + half, rtol=1e-9)


# --- doubts ------------------------------------------------------------------------------------------------


def said_by(kind, *args, **kwargs):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        pooled = pool_multivariate(*args, **kwargs)
    found = [str(each.message) for each in said if each.category is kind]
    assert found == [each.message for each in pooled.warnings if each.name == kind.__name__]
    assert all(each.filename == __file__ for each in said)
    return found


def test_few_studies_are_said():
    assert said_by(FewStudiesWarning, BERKEY_Y, **BERKEY) == [
        "5 studies for 3 parameters of the covariance between studies: it is hardly known, and intervals do not show "
        "that."
    ]
    assert said_by(FewStudiesWarning, BERKEY_Y, **BERKEY, method="CE") == []


def test_the_boundary_is_said():
    y = [[-0.4, -0.2], [-0.1, 0.0], [-0.6, -0.5], [-0.3, -0.3], [0.1, 0.2], [-0.2, -0.1]]
    assert said_by(BoundaryWarning, y, se=np.full((6, 2), 0.15), correlation=0.5) == [
        "The covariance between studies lies on its boundary: true effects are wholly correlated. That is the best "
        "fit, not knowledge; a simpler structure may serve better."
    ]
    still = [[-0.4, -0.2], [-0.1, -0.2], [-0.6, -0.2], [-0.3, -0.2], [0.1, -0.2], [-0.2, -0.2]]
    assert said_by(BoundaryWarning, still, se=np.full((6, 2), 0.15), correlation=0, structure="diagonal") == [
        "The covariance between studies lies on its boundary: outcome 2 does not vary. That is the best fit, not "
        "knowledge; a simpler structure may serve better."
    ]
    assert said_by(BoundaryWarning, BERKEY_Y, **BERKEY) == []


def test_narrow_and_undefined_intervals_are_said():
    close = np.array([[0.1, 0.2]] * 6) + 0.01 * np.arange(12).reshape(6, 2) % 0.03
    (message,) = said_by(
        NarrowIntervalWarning, close, se=np.full((6, 2), 0.5), correlation=0.5, ci_method="HK"
    )
    assert re.fullmatch(
        r"A 95% HK interval is 0\.\d\d times as wide as the common-effect one, because the effects agree better than "
        r"chance lets expect\. Use ci_method='mHK'\.",
        message,
    )
    same = np.array([[0.25, 0.5]] * 6)
    assert said_by(NarrowIntervalWarning, same, se=np.full((6, 2), 0.5), correlation=0, ci_method="HK") == [
        "Studies agree wholly, so the HK intervals are undefined. Use ci_method='mHK'."
    ]


def test_a_search_that_does_not_arrive_is_an_error(monkeypatch):
    def astray(*_args, **_options):
        return BetweenFit(np.diag([1.0, 2.0]), np.asarray(False), 1000)

    monkeypatch.setattr("netsynth.multivariate.psi_between", astray)
    message = "The covariance between studies by REML did not converge."
    with pytest.raises(ConvergenceError, match=f"^{re.escape(message)}$") as raised:
        pool_multivariate(BERKEY_Y, **BERKEY)
    assert raised.value.last == 3.0


# --- refusals ----------------------------------------------------------------------------------------------

NAN = float("nan")
SE = np.full((5, 2), 0.2)


def altered(i, matrix):
    covariance = BERKEY_S.copy()
    covariance[i] = matrix
    return covariance


REFUSED = [
    ("estimate must have shape (studies, outcomes); got (3,).", [1, 2, 3], {"se": [1, 1, 1]}),
    ("estimate must be numbers, (studies, outcomes); got [['a']].", [["a"]], {"se": [[1]]}),
    ("Give either covariance or se with correlation; got neither.", BERKEY_Y, {}),
    (
        "Give either covariance or se with correlation; got both.",
        BERKEY_Y,
        {"se": SE, "covariance": BERKEY_S},
    ),
    (
        "correlation goes with se: the covariance already says it.",
        BERKEY_Y,
        {"covariance": BERKEY_S, "correlation": 0.5},
    ),
    (
        "se needs a correlation of the outcomes within studies; 0 if they come from different patients.",
        BERKEY_Y,
        {"se": SE},
    ),
    ("covariance must have shape (5, 2, 2); got (4, 2, 2).", BERKEY_Y, {"covariance": BERKEY_S[:4]}),
    ("se must have shape (5, 2); got (5, 1).", BERKEY_Y, {"se": SE[:, :1], "correlation": 0}),
    (
        "Study 2: se of outcome 1 must be positive; got 0.",
        BERKEY_Y,
        {"se": np.where(np.arange(10).reshape(5, 2) == 2, 0, SE), "correlation": 0},
    ),
    (
        "correlation of 2 outcomes must lie above -1.00 and below 1; got 1.",
        BERKEY_Y,
        {"se": SE, "correlation": 1},
    ),
    (
        "correlation must be a number or a 2 by 2 matrix; got shape (3, 3).",
        BERKEY_Y,
        {"se": SE, "correlation": np.eye(3)},
    ),
    (
        "correlation must be symmetric with ones on the diagonal, and finite.",
        BERKEY_Y,
        {"se": SE, "correlation": [[1, 0.5], [0.4, 1]]},
    ),
    (
        "correlation must be positive definite: no outcomes can be so correlated.",
        BERKEY_Y,
        {"se": SE, "correlation": [[1, 1], [1, 1]]},
    ),
    (
        "Study 3: covariance must be symmetric; got 0.0007 and 0.0006.",
        BERKEY_Y,
        {"covariance": altered(2, [[0.0021, 0.0007], [0.0006, 0.0014]])},
    ),
    (
        "Study 3: covariance must be positive definite: no estimates can be so correlated, or one follows from the "
        "others and should be left out.",
        BERKEY_Y,
        {"covariance": altered(2, [[0.01, 0.02], [0.02, 0.01]])},
    ),
    (
        "Study 1: covariance must have positive variances; got -0.01 of outcome 2.",
        BERKEY_Y,
        {"covariance": altered(0, [[0.01, 0], [0, -0.01]])},
    ),
    (
        "Study 1: covariance of the reported outcomes must be finite.",
        BERKEY_Y,
        {"covariance": altered(0, [[0.01, NAN], [NAN, 0.01]])},
    ),
    (
        "Adams 2001: estimate of depth must be finite, or nan if not reported; got inf.",
        [[np.inf, 1], [1, 2]],
        {
            "se": [[1, 1], [1, 1]],
            "correlation": 0,
            "study": ["Adams 2001", "b"],
            "outcomes": ["depth", "level"],
        },
    ),
    (
        "outcome 2: effects and standard errors span too many orders of magnitude to be pooled: effects from 1 to "
        "3e+07, se from 0.5 (Study 2) to 1. Check the units.",
        [[1, 1], [1, 2], [2, 3e7]],
        {"se": [[1, 1], [1, 0.5], [1, 1]], "correlation": 0},
    ),
    (
        "Study 2: no outcome is reported. Leave the study out.",
        [[1, 1], [NAN, NAN]],
        {"se": [[1, 1], [1, 1]], "correlation": 0},
    ),
    (
        "outcomes must have one name for each of 2 outcomes; got 1.",
        BERKEY_Y,
        {"outcomes": "PD", "covariance": BERKEY_S},
    ),
    (
        "outcomes must have different names; got PD and PD.",
        BERKEY_Y,
        {"outcomes": ["PD", "PD"], "covariance": BERKEY_S},
    ),
    (
        "moderator year must have one value for each of 5 studies; got 2.",
        BERKEY_Y,
        {**BERKEY, "moderators": {"year": [1, 2]}},
    ),
    (
        "moderator year must be finite; got nan at position 1.",
        BERKEY_Y,
        {**BERKEY, "moderators": {"year": [1, NAN, 2, 3, 4]}},
    ),
    (
        "PD: the moderators of the 5 studies that report it do not differ enough to tell their slopes apart. Use "
        "fewer.",
        BERKEY_Y,
        {**BERKEY, "moderators": {"year": [1, 1, 1, 1, 1]}},
    ),
    (
        "structure must be one of unstructured, diagonal, identity, compound_symmetry, heterogeneous_cs, ar1, "
        "heterogeneous_ar1; got 'toeplitz'.",
        BERKEY_Y,
        {**BERKEY, "structure": "toeplitz"},
    ),
    ("method must be one of REML, ML, MM, VC, CE; got 'DL'.", BERKEY_Y, {**BERKEY, "method": "DL"}),
    ("ci_method must be one of wald, t, HK, mHK; got 'KR'.", BERKEY_Y, {**BERKEY, "ci_method": "KR"}),
    (
        "prediction_method must be one of normal, t_km1, t_km2; got 'HK_km1'.",
        BERKEY_Y,
        {**BERKEY, "prediction_method": "HK_km1"},
    ),
    (
        "method 'MM' knows no structure; use 'REML' or 'ML' for 'ar1'.",
        BERKEY_Y,
        {**BERKEY, "method": "MM", "structure": "ar1"},
    ),
    (
        "AL: no study reports it.",
        [[1, NAN], [2, NAN]],
        {"se": [[1, 1], [1, 1]], "correlation": 0, "outcomes": ["PD", "AL"]},
    ),
    (
        "outcome 2: 1 study reports it, too few for a between-study variance of its own; it takes 2. Use "
        "structure='compound_symmetry', or method='CE'.",
        [[1, 2], [2, NAN], [3, NAN]],
        {"se": np.ones((3, 2)), "correlation": 0},
    ),
    (
        "outcome 1 and outcome 2: 1 study reports both, too few for a correlation of their own; it takes 2. Use "
        "another structure, such as 'compound_symmetry'.",
        [[1, 2], [2, NAN], [3, NAN], [NAN, 2]],
        {"se": np.ones((4, 2)), "correlation": 0},
    ),
    (
        "2 estimates cannot say how much studies differ beside 2 coefficients; it takes more studies.",
        [[1, 2]],
        {"se": np.ones((1, 2)), "correlation": 0, "method": "CE"},
    ),
]


@pytest.mark.parametrize(("message", "estimate", "options"), REFUSED, ids=[case[0][:60] for case in REFUSED])
def test_what_cannot_be_right_is_refused(message, estimate, options):
    refuses(message, estimate, **options)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("correlation", [0.0, 0.9, 0.999])
def test_an_outlier_is_borne_or_refused(structure, correlation):
    """Ten thousand standard errors away, as when a decimal point is lost.

    With errors correlated 0.999 as well, a difference of outcomes is known 500,000 times better than a mean; then
    rounding may hide the summit, which is an error and not an answer.
    """
    y = np.vstack([np.zeros((7, 2)), [[1e3, 1e3]]]) + np.arange(16).reshape(8, 2) / 10
    for method in ("REML", "ML"):
        try:
            pooled = quiet(
                y, se=np.full((8, 2), 0.1), correlation=correlation, structure=structure, method=method
            )
        except ConvergenceError:
            assert correlation == 0.999
            continue
        assert np.isfinite(pooled.coefficient).all()
        assert (pooled.tau2 > 1e4).all()


def test_what_is_not_reported_is_not_looked_at():
    y = BERKEY_Y.copy()
    y[0, 1] = NAN
    odd = altered(0, [[0.0075, NAN], [5.0, -1.0]])
    fine = altered(0, [[0.0075, 0.0], [0.0, 1.0]])
    first, second = quiet(y, covariance=odd), quiet(y, covariance=fine)
    np.testing.assert_array_equal(first.coefficient, second.coefficient)
    assert np.isinf(first.study_covariance[0, 1, 1])


def test_a_structure_with_one_variance_takes_an_outcome_reported_once():
    pooled = quiet(
        [[1, 2], [2, NAN], [3, NAN], [2.5, NAN]],
        se=np.ones((4, 2)),
        correlation=0.5,
        structure="compound_symmetry",
    )
    assert pooled.n_studies.tolist() == [4, 1]
    assert np.isnan(pooled.prediction_interval().lower).tolist() == [False, True]
