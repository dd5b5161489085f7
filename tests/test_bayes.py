"""Bayesian pooling: priors at the door, what the result answers, and what it prints."""

import dataclasses
import json
import pickle
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import trapezoid
from scipy.special import ndtr

from netsynth.bayes import pool_bayes
from netsynth.errors import (
    ConvergenceError,
    FewStudiesWarning,
    InvalidInputError,
    NetsynthWarning,
    PriorWarning,
)
from netsynth.kernels.scales import MEASURES
from netsynth.pool import pool_effects

REFERENCES = Path(__file__).parent / "references"
RUBIN, THREE = json.loads((REFERENCES / "posterior.json").read_text(encoding="utf-8"))
LOG_HR, SE = [-0.51, -0.12, -0.33], [0.18, 0.10, 0.15]
STUDIES = ["Adams 2001", "Brown 2005", "Chen 2010"]


def quiet(*args, **kwargs):
    """The verb without its warnings, for tests of numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        return pool_bayes(*args, **kwargs)


def naive(y, se, scale):
    """Points of tau, their probabilities under a half-normal prior, and the normal of the mean given each."""
    y, tau = np.asarray(y), np.linspace(0, 16 * scale, 40001)
    total = np.square(se) + tau[:, None] ** 2
    precision = (1 / total).sum(1)
    mean = (y / total).sum(1) / precision
    log_density = -0.5 * (
        np.log(total).sum(1) + np.log(precision) + ((y - mean[:, None]) ** 2 / total).sum(1)
    )
    log_density -= 0.5 * (tau / scale) ** 2
    weight = np.exp(log_density - log_density.max())
    weight[[0, -1]] *= 0.5  # the trapezoidal rule
    return tau, weight / weight.sum(), mean, precision**-0.5


@pytest.fixture
def pooled():
    return pool_bayes(LOG_HR, se=SE, measure="log_hr", study=STUDIES)


@pytest.fixture
def rubin():
    """Eight schools (Rubin 1981), with the priors of the reference."""
    data, options = RUBIN["input"], RUBIN["options"]
    return pool_bayes(
        data["yi"],
        se=data["sei"],
        tau_prior=options["tau_prior"],
        tau_scale=options["tau_scale"],
        mean_prior=options["mean_prior"],
        study=list("ABCDEFGH"),
    )


# --- reference ---------------------------------------------------------------------------------------------


def test_reference_eight_schools(rubin):
    # bayesmeta integrates over tau exactly, and over a coarse grid of tau for effects
    tau, effect = RUBIN["output"]["tau"], RUBIN["output"]["mu"]
    assert (rubin.tau.mode, rubin.tau.median, rubin.tau.mean, rubin.tau.sd) == pytest.approx(
        (tau["mode"], tau["median"], tau["mean"], tau["sd"]), rel=2e-7
    )
    assert rubin.tau_interval() == pytest.approx(tau["central"], rel=2e-7)
    assert rubin.tau_interval(kind="highest_density") == pytest.approx(tau["shortest"], rel=2e-7)
    assert rubin.tau.quantile(0.95) == pytest.approx(tau["q95"], rel=1e-6)
    near = 0.001 * effect["sd"]
    assert (rubin.effect.mode, rubin.effect.median, rubin.effect.mean, rubin.effect.sd) == pytest.approx(
        (effect["mode"], effect["median"], effect["mean"], effect["sd"]), abs=near
    )
    assert rubin.credible_interval(kind="highest_density") == pytest.approx(effect["shortest"], abs=near)
    assert rubin.effect.above(0.0) == pytest.approx(effect["above_0"], abs=5e-5)
    assert rubin.joint_mode == pytest.approx(tuple(RUBIN["output"]["map_joint"].values()), abs=5e-7)
    theta = RUBIN["output"]["theta"]
    for i, name in zip(theta["index"], "AGH", strict=True):
        school = rubin.study_effect(name)
        got = (school.mode, school.median, school.mean, school.sd, *school.interval(kind="highest_density"))
        printed = [theta[key] for key in ("mode", "median", "mean", "sd", "lower", "upper")]
        expected = [values[theta["index"].index(i)] for values in printed]
        assert got == pytest.approx(expected, abs=0.006 * school.sd)


def test_reference_jeffreys_prior_of_ones_own():
    y, se, printed = np.array(THREE["input"]["yi"]), np.array(THREE["input"]["sei"]), THREE["output"]

    def jeffreys(tau):
        return np.sqrt(((tau[..., None] / (se**2 + tau[..., None] ** 2)) ** 2).sum(-1))

    with pytest.warns(PriorWarning) as said:
        pooled = pool_bayes(y, se=se, tau_prior=jeffreys)
    assert len(said) == 2
    assert (pooled.tau.median, pooled.tau.mean) == pytest.approx(
        (printed["tau"]["median"], printed["tau"]["mean"]), rel=2e-6
    )
    assert pooled.joint_mode == pytest.approx(tuple(printed["map_joint"].values()), rel=5e-5)
    assert pooled.effect.median == pytest.approx(printed["mu"]["median"], abs=0.001 * printed["mu"]["sd"])
    # the variance of the mean is an integral of tau^2 over a tail of 1 / tau^3: bayesmeta, whose grid of tau
    # ends, prints 3.947427
    assert pooled.effect.sd == np.inf
    assert pooled.tau.sd == np.inf
    assert np.isnan(pooled.bayes_factor_homogeneity)


# --- priors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("measure", "scale"), [
    ("log_hr", 0.5), ("logit_proportion", 1.0), ("logit_survival", 1.0), ("log_survival", 0.5), ("log_proportion", 0.5),
    ("cloglog_survival", 0.7213), ("arcsine_proportion", 0.25),
])  # fmt: skip
def test_default_scales(measure, scale):
    pooled = pool_bayes(LOG_HR, se=SE, measure=measure)
    assert pooled.tau_prior.scale == pytest.approx(scale, abs=5e-5)
    kind, logit = MEASURES[measure], MEASURES["logit_proportion"]
    if (
        kind.kind == "probability"
    ):  # a step of tau about one half is the same step of probability on all scales
        step = 1e-4
        shift = abs(kind.from_scale(kind.to_scale(0.5) + step * scale) - 0.5)
        assert shift == pytest.approx(abs(logit.from_scale(step) - 0.5), rel=1e-3)


@pytest.mark.parametrize("prior", ["half_normal", "half_cauchy"])
@pytest.mark.parametrize("measure", ["generic", "log_rate"])
def test_a_measure_of_unknown_unit_needs_a_scale(prior, measure):
    message = (
        f"tau_prior={prior!r} for measure={measure!r} needs a scale that suits the effects: give tau_scale. "
        "About 95% of true effects lie within 2 tau of their mean."
    )
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        pool_bayes(LOG_HR, se=SE, measure=measure, tau_prior=prior)


def test_a_uniform_prior_needs_its_end():
    message = (
        "tau_prior='uniform' for measure='log_hr' needs its upper end that suits the effects: give tau_scale. "
        "About 95% of true effects lie within 2 tau of their mean."
    )
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        pool_bayes(LOG_HR, se=SE, measure="log_hr", tau_prior="uniform")


def negative(tau):
    return 1.0 - tau


def nowhere(tau):
    return np.zeros_like(tau)


def matrix(tau):
    return np.ones((tau.size, 2))


def reciprocal(tau):
    return 1.0 / tau


REFUSED = [
    ({"tau_prior": "gamma"}, "tau_prior must be one of half_normal, half_cauchy, uniform; got 'gamma'."),
    ({"tau_prior": 0.5}, "tau_prior must be a name or a function of tau; got 0.5."),
    ({"tau_scale": 0}, "tau_scale must be positive and finite; got 0."),
    ({"tau_scale": "0.5"}, "tau_scale must be positive and finite; got '0.5'."),
    ({"tau_scale": np.inf}, "tau_scale must be positive and finite; got inf."),
    ({"tau_scale": np.nan}, "tau_scale must be positive and finite; got nan."),
    ({"tau_prior": "uniform", "tau_scale": -1.0}, "tau_scale must be positive; got -1.0."),
    (
        {"tau_prior": np.ones_like, "tau_scale": 1.0},
        "tau_scale belongs to a prior by name; a function of tau has its own scale.",
    ),
    (
        {"tau_prior": negative},
        "tau_prior must be a density, finite and not negative; negative gave -0.5 at tau = 1.5.",
    ),
    (
        {"tau_prior": nowhere},
        "tau_prior must give some tau a density; nowhere gave 0 from 1.5e-07 to 150000. Check its unit, which is "
        "that of the effects.",
    ),
    (
        {"tau_prior": matrix},
        "tau_prior must give one density for each tau of an array; matrix gave shape (26, 2) for 26 values.",
    ),
    (
        {"tau_prior": reciprocal},
        "tau_prior reciprocal rises towards tau = 0 as 1 / tau or faster, so no data make it a distribution. "
        "Take one that is finite at 0.",
    ),
    ({"mean_prior": 1.0}, "mean_prior must be a mean and a standard deviation; got 1.0."),
    ({"mean_prior": (0, 1, 2)}, "mean_prior must be a mean and a standard deviation; got (0, 1, 2)."),
    (
        {"mean_prior": (0, 0)},
        "mean_prior must be a finite mean and a positive, finite standard deviation; got (0, 0). Leave it out for a "
        "flat prior.",
    ),
    (
        {"mean_prior": (0, np.inf)},
        "mean_prior must be a finite mean and a positive, finite standard deviation; got (0, inf). Leave it out for "
        "a flat prior.",
    ),
    ({"measure": "hazard"}, None),
    ({"se": [0.1, 0.2]}, "estimate and se must have the same length; got 3 and 2."),
    ({"se": [0.1, 0.0, 0.2]}, "Brown 2005: se must be positive; got 0 at position 1."),
    ({"study": ["A"]}, "study must have one label for each of 3 studies; got 1."),
    (
        {"se": [1e-40, 0.1, 0.2]},
        "Effects and standard errors span too many orders of magnitude to be pooled: effects from -0.51 to -0.12, se "
        "from 1e-40 (Adams 2001) to 0.2. Check the units.",
    ),
]


@pytest.mark.parametrize(
    ("change", "message"), REFUSED, ids=[f"{i}-{'-'.join(change)}" for i, (change, _) in enumerate(REFUSED)]
)
def test_what_is_refused(change, message):
    options = {"se": SE, "measure": "log_hr", "study": STUDIES} | change
    with pytest.raises(
        InvalidInputError, match=f"^{re.escape(message)}$" if message else "measure must be one of"
    ):
        pool_bayes(LOG_HR, **options)


@pytest.mark.parametrize(("k", "mean_prior"), [(1, None), (2, None), (1, (0.0, 1.0))])
def test_an_improper_posterior_is_refused(k, mean_prior):
    noun = "1 study" if k == 1 else "2 studies"
    message = (
        f"With tau_prior uniform without an end, {noun} leave tau without a posterior distribution. Give the prior "
        "an end or a scale, or add studies."
    )
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        pool_bayes(LOG_HR[:k], se=SE[:k], tau_prior="uniform", tau_scale=np.inf, mean_prior=mean_prior)


def test_effects_beyond_all_the_prior_allows_are_refused():
    message = (
        "The integral over tau with prior half_normal was not found: the effects lie too far apart for it or too far "
        "from the prior of the mean, or its density is too rough. Take wider priors."
    )
    with pytest.raises(ConvergenceError, match=f"^{re.escape(message)}$") as failure:
        pool_bayes([0, 1e9, 2e9], se=[1, 1, 1], tau_scale=0.5)
    assert failure.value.last > 0
    wide = pool_bayes([0, 1e9, 2e9], se=[1, 1, 1], tau_scale=1e9)
    assert wide.estimate == pytest.approx(1e9, rel=1e-12)


def test_an_own_density_is_the_prior_of_that_name():
    def half_normal(tau):
        return 7.0 * np.exp(-0.5 * (tau / 0.5) ** 2)  # not normalised

    own = pool_bayes(LOG_HR, se=SE, measure="log_hr", tau_prior=half_normal, mean_prior=(0, 1))
    named = pool_bayes(LOG_HR, se=SE, measure="log_hr", mean_prior=(0, 1))
    assert own.estimate == pytest.approx(named.estimate, rel=1e-10)
    assert own.tau_interval() == pytest.approx(named.tau_interval(), rel=1e-9)
    assert own.log_marginal_likelihood == pytest.approx(named.log_marginal_likelihood, abs=1e-9)
    assert own.bayes_factor_homogeneity == pytest.approx(named.bayes_factor_homogeneity, rel=1e-9)
    unnamed = pool_bayes(LOG_HR, se=SE, tau_prior=lambda tau: np.exp(-tau))
    assert unnamed.tau_prior.name == "own density"


# --- warnings ----------------------------------------------------------------------------------------------


def test_one_and_two_studies_warn():
    with pytest.warns(
        FewStudiesWarning,
        match=r"^Adams 2001 is the only study, so the prior of tau decides what is known of it\.$",
    ):
        one = pool_bayes(LOG_HR[:1], se=SE[:1], measure="log_hr", study=STUDIES[:1])
    assert one.effect.sd == pytest.approx(np.hypot(0.18, 0.5), rel=1e-10)  # second moment of a half-normal
    assert np.isnan(one.i2)
    assert "I2" not in str(one)
    with pytest.warns(
        FewStudiesWarning,
        match=r"^Two studies say next to nothing about tau, so its prior decides: try others\.$",
    ):
        pool_bayes(LOG_HR[:2], se=SE[:2], measure="log_hr")


def test_the_warning_points_at_the_caller():
    with pytest.warns(FewStudiesWarning) as said:
        pool_bayes(LOG_HR[:2], se=SE[:2], measure="log_hr")
    assert said[0].filename == __file__


def test_a_contradicted_prior_warns():
    y, se, scale = [-1.2, 0.1, 0.9, 1.5], [0.1, 0.1, 0.1, 0.1], 0.1
    tau, weight, _, _ = naive(y, se, scale)
    median = tau[np.searchsorted(weight.cumsum(), 0.5)]
    chance = 2 * stats.norm.sf(median / scale)
    assert chance < 0.001
    message = (
        f"The studies differ more than the prior of tau expects: it gives a tau above the posterior median, "
        f"{median:.3f}, a probability of less than 0.001. Take a wider prior, or ask what sets the studies apart."
    )
    with pytest.warns(PriorWarning, match=f"^{re.escape(message)}$"):
        pooled = pool_bayes(y, se=se, measure="log_hr", tau_scale=scale)
    assert pooled.warnings[0].message == message
    assert str(pooled).endswith(f"PriorWarning: {message}")
    assert pool_bayes(y, se=se, measure="log_hr").warnings == ()
    with pytest.warns(PriorWarning, match=r"a probability of 0\.00[1-9]\. Take"):
        pool_bayes(y, se=se, measure="log_hr", tau_scale=0.25)


def test_a_prior_that_ends_too_early_warns():
    message = (
        "The studies differ more than the prior of tau expects: the posterior of tau is highest at the end of the "
        "prior, 0.2. Take a wider prior, or ask what sets the studies apart."
    )
    with pytest.warns(PriorWarning, match=f"^{re.escape(message)}$"):
        pool_bayes([-1.2, 0.1, 0.9], se=[0.2, 0.2, 0.2], measure="log_hr", tau_prior="uniform", tau_scale=0.2)


HEAVY = [
    (1, None, "With k = 1 the tail of tau stays so heavy that its mean is infinite, and the mean effect and a new "
     "study's effect lack one. Use medians and intervals, or a prior with a lighter tail."),
    (2, None, "With k = 2 the tail of tau stays so heavy that its standard deviation is infinite, and the mean effect "
     "and a new study's effect lack one. Use medians and intervals, or a prior with a lighter tail."),
    (1, (0.0, 1.0), "With k = 1 the tail of tau stays so heavy that its standard deviation is infinite, and a new "
     "study's effect lacks one. Use medians and intervals, or a prior with a lighter tail."),
]  # fmt: skip


@pytest.mark.parametrize(("k", "mean_prior", "message"), HEAVY)
def test_a_heavy_tail_warns(k, mean_prior, message):
    with pytest.warns(NetsynthWarning) as said:
        pooled = pool_bayes(
            LOG_HR[:k], se=SE[:k], measure="log_hr", tau_prior="half_cauchy", mean_prior=mean_prior
        )
    assert [str(item.message) for item in said][1:] == [message]
    assert np.isinf(pooled.prediction.sd)
    assert np.isfinite(pooled.effect.sd) == (mean_prior is not None)
    assert np.isnan(pooled.effect.mean) == (k == 1 and mean_prior is None)
    assert np.isfinite(pooled.credible_interval()).all()


def test_an_improper_prior_leaves_no_bayes_factor():
    message = "The prior of tau, uniform, has no finite integral, so Bayes factors are undefined."
    with pytest.warns(PriorWarning) as said:
        pooled = pool_bayes(LOG_HR, se=SE, tau_prior="uniform", tau_scale=np.inf, mean_prior=(0, 1))
    assert str(said[-1].message) == message
    assert np.isnan([pooled.bayes_factor_homogeneity, pooled.log_marginal_likelihood]).all()
    assert "tau uniform(0, ∞)" in str(pooled)


# --- what the result answers -------------------------------------------------------------------------------


def test_the_text(pooled):
    assert str(pooled) == (
        "Hazard ratio, Bayesian random effects, tau half-normal(0.5), mean flat, k = 3\n"
        f"  median  {np.exp(pooled.effect.median):.2f}   95% CrI [0.48, 1.11]   95% PrI [0.33, 1.63]\n"
        f"  tau {pooled.tau.median:.3f}   95% CrI [0.0129, 0.767]   I2 68%   Bayes factor for tau = 0 1.21\n"
        f"  P(hazard ratio < 1) {pooled.effect.below(0.0):.2f}"
    )
    survival = pool_bayes(LOG_HR, se=SE, measure="cloglog_survival", mean_prior=(-1.5, 2))
    first, *_, last = str(survival).splitlines()
    assert first == (
        "Survival (log(-log) scale), Bayesian random effects, tau half-normal(0.721), mean normal(-1.5, 2), k = 3"
    )
    assert "P(" not in last  # a probability has no value of no effect
    assert "%, " in str(survival).splitlines()[1]
    with_mean = pool_bayes(LOG_HR, se=SE, measure="log_hr", mean_prior=(0, 1))
    assert re.search(r"P\(hazard ratio < 1\) 0\.95   Bayes factor for no effect 0\.989$", str(with_mean))


@pytest.mark.parametrize("shift", [-5.0, -0.3, 0.0, 0.6, 9.0])
def test_probabilities_in_text_are_never_0_or_1(shift):
    y = np.array(LOG_HR) + shift
    _, weight, mean, sd = naive(y, SE, 0.5)
    chance = weight @ ndtr(-mean / sd)
    shown = {-5.0: "> 0.999", 0.0: f"{chance:.2f}", 9.0: "< 0.001"}.get(shift, f"{chance:.3f}")
    pooled = pool_bayes(y, se=SE, tau_scale=0.5)
    assert pooled.effect.below(0.0) == pytest.approx(chance, rel=1e-6)
    assert str(pooled).splitlines()[3] == f"  P(effect < 0) {shown}"


def test_distributions_agree_with_themselves(pooled):
    for whose in (pooled.effect, pooled.prediction, pooled.study_effect("Brown 2005")):
        for p in (1e-20, 0.1, 0.5, 0.9):
            assert whose.below(whose.quantile(p)) == pytest.approx(p, rel=1e-10)
        assert whose.above(0.3) == pytest.approx(1 - whose.below(0.3), abs=1e-12)
        x = np.linspace(-12, 12, 6001)
        assert trapezoid(whose.density(x), x) == pytest.approx(1, abs=1e-8)
        assert trapezoid(x * whose.density(x), x) == pytest.approx(whose.mean, abs=1e-8)
        assert whose.cdf([-np.inf, np.inf]) == pytest.approx([0, 1], abs=1e-12)
    tau = np.linspace(0, 8, 20001)
    assert trapezoid(pooled.tau.density(tau), tau) == pytest.approx(1, abs=1e-6)
    assert pooled.tau.below(pooled.tau.quantile(0.3)) == pytest.approx(0.3, rel=1e-10)
    np.testing.assert_array_equal(pooled.tau.density([-1.0, 1e6]), [0, 0])
    np.testing.assert_allclose(pooled.tau.cdf([-1.0, 0.0, 1e6]), [0, 0, 1], atol=1e-12)


def test_far_tails_are_numbers():
    y = np.array(LOG_HR) - 20
    _, weight, mean, sd = naive(y, SE, 0.5)
    expected = weight @ ndtr(mean / sd)
    assert 0 < expected < 1e-30
    assert pool_bayes(y, se=SE, measure="log_hr").effect.above(0.0) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", ["equal_tailed", "highest_density"])
def test_intervals_hold_what_they_say(pooled, kind):
    for level in (0.5, 0.95):
        low, high = pooled.credible_interval(level, kind=kind)
        assert pooled.effect.below(high) - pooled.effect.below(low) == pytest.approx(level, abs=1e-10)
        low, high = pooled.prediction_interval(level, kind=kind)
        assert pooled.prediction.below(high) - pooled.prediction.below(low) == pytest.approx(level, abs=1e-10)
        low, high = pooled.tau_interval(level, kind=kind)
        assert pooled.tau.below(high) - pooled.tau.below(low) == pytest.approx(level, abs=1e-9)
        limits = pooled.shrunken_interval(level, kind=kind)
        for i, name in enumerate(STUDIES):
            assert (limits.lower[i], limits.upper[i]) == pytest.approx(
                tuple(pooled.study_effect(name).interval(level, kind=kind)), rel=1e-8
            )
    shortest, central = pooled.credible_interval(kind="highest_density"), pooled.credible_interval()
    assert shortest.upper - shortest.lower < central.upper - central.lower


def test_intervals_are_checked(pooled):
    kind = "kind must be one of equal_tailed, highest_density; got 'shortest'."
    level = "level must be a fraction between 0 and 1, such as 0.95; got 95."
    for ask in (
        pooled.credible_interval,
        pooled.prediction_interval,
        pooled.tau_interval,
        pooled.shrunken_interval,
    ):
        with pytest.raises(InvalidInputError, match=f"^{re.escape(kind)}$"):
            ask(kind="shortest")
        with pytest.raises(InvalidInputError, match=f"^{re.escape(level)}$"):
            ask(95)
    for whose in (pooled.effect, pooled.tau):
        with pytest.raises(
            InvalidInputError, match=r"^p must be a probability strictly between 0 and 1; got 1\.$"
        ):
            whose.quantile(1)
    message = "study must be one of Adams 2001, Brown 2005, Chen 2010; got 'Dow 2015'."
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        pooled.study_effect("Dow 2015")


def test_natural_values(pooled):
    assert pooled.natural == pytest.approx(np.exp(pooled.estimate), rel=1e-12)
    assert pooled.natural_interval(0.9) == pytest.approx(np.exp(pooled.credible_interval(0.9)), rel=1e-12)
    assert pooled.natural_prediction_interval() == pytest.approx(
        np.exp(pooled.prediction_interval()), rel=1e-12
    )
    np.testing.assert_allclose(pooled.natural_study_interval(), np.exp(pooled.study_interval()), rtol=1e-12)
    np.testing.assert_allclose(
        pooled.natural_shrunken_interval(), np.exp(pooled.shrunken_interval()), rtol=1e-12
    )
    survival = pool_bayes(LOG_HR, se=SE, measure="cloglog_survival")  # a scale that turns round
    low, high = survival.natural_interval()
    assert low < survival.natural < high
    limits = survival.natural_shrunken_interval()
    assert np.all(limits.lower < limits.upper)


def test_bayes_factors_are_ratios_of_marginal_likelihoods():
    y, se, prior = np.array(LOG_HR), np.array(SE), (0.1, 1.0)
    pooled = pool_bayes(y, se=se, measure="log_hr", mean_prior=prior)
    homogeneous = stats.multivariate_normal(np.full(3, prior[0]), np.diag(se**2) + prior[1] ** 2).logpdf(y)
    assert np.log(pooled.bayes_factor_homogeneity) == pytest.approx(
        homogeneous - pooled.log_marginal_likelihood, abs=1e-10
    )
    # without an effect the mean is known: a prior so narrow about 0 says the same
    null = pool_bayes(y, se=se, measure="log_hr", mean_prior=(0.0, 1e-7))
    assert np.log(pooled.bayes_factor_no_effect) == pytest.approx(
        null.log_marginal_likelihood - pooled.log_marginal_likelihood, abs=1e-8
    )
    # far from both, where neither density is a number any more
    far = quiet(y - 40, se=se, measure="log_hr", mean_prior=(-40.0, 1.0))
    assert far.effect.density(0.0) == 0
    tau = np.linspace(0, 12, 20001)
    log_joint = stats.norm.logpdf(y - 40, 0.0, np.hypot(se, tau[:, None])).sum(1) + stats.halfnorm.logpdf(
        tau, scale=0.5
    )
    without = log_joint.max() + np.log(trapezoid(np.exp(log_joint - log_joint.max()), tau))
    assert np.log(far.bayes_factor_no_effect) == pytest.approx(
        without - far.log_marginal_likelihood, abs=1e-6
    )
    flat = pool_bayes(y, se=se, measure="log_hr")
    assert np.isnan([flat.bayes_factor_no_effect, flat.log_marginal_likelihood]).all()
    # the factor for tau = 0 has a limit as the prior of the mean widens, which is that of the flat one
    wide = pool_bayes(y, se=se, measure="log_hr", mean_prior=(0.0, 1e5))
    assert flat.bayes_factor_homogeneity == pytest.approx(wide.bayes_factor_homogeneity, rel=1e-8)
    assert np.isnan(pool_bayes(y, se=se, measure="logit_survival", mean_prior=prior).bayes_factor_no_effect)


def test_heterogeneity_is_that_of_the_model(pooled):
    share = pool_effects(LOG_HR, se=SE, tau2_method=lambda y, _v, /: Tau2(pooled.tau.median**2 + 0 * y[0]))
    assert pooled.i2 == pytest.approx(share.i2_tau2, rel=1e-12)
    low, high = pooled.i2_interval(0.9)
    assert low < pooled.i2 < high


@dataclasses.dataclass
class Tau2:
    tau2: float
    converged: bool = True
    n_iterations: int = 0


def test_identical_effects_and_wide_differences():
    same = pool_bayes([0.1] * 6, se=[0.01] * 6, measure="log_hr")
    assert same.tau.mode == 0
    assert same.effect.median == pytest.approx(0.1, rel=1e-12)
    far = quiet([0.0, 1e6], se=[1.0, 1.0], tau_scale=1e6)
    assert far.effect.median == pytest.approx(5e5, rel=1e-10)
    uneven = pool_bayes([0.3, -0.1, 0.5], se=[1e-8, 0.1, 1e4], measure="log_hr")
    assert uneven.study_effect("Study 1").median == pytest.approx(0.3, abs=1e-7)
    assert uneven.shrunken_interval().upper[2] == pytest.approx(uneven.prediction_interval().upper, rel=1e-6)


def test_frames(pooled):
    row = pooled.summary_frame(0.9).loc["log_hr"]
    assert (row["ci_lower"], row["ci_upper"]) == tuple(pooled.credible_interval(0.9))
    assert (row["pi_lower"], row["pi_upper"]) == tuple(pooled.prediction_interval(0.9))
    assert (row["tau"], row["tau_mode"], row["k"]) == (pooled.tau.median, pooled.tau.mode, 3)
    assert (row["tau_prior"], row["tau_scale"]) == ("half_normal", 0.5)
    assert np.isnan(row["mean_prior_mean"])
    frame = pooled.study_frame(0.9)
    assert list(frame.index) == STUDIES
    np.testing.assert_array_equal(frame["estimate"], LOG_HR)
    assert frame["weight"].sum() == pytest.approx(1, abs=1e-12)
    assert frame["weight"] @ np.array(LOG_HR) == pytest.approx(pooled.effect.mean, rel=1e-10)
    assert frame.loc["Brown 2005", "shrunken"] == pytest.approx(
        pooled.study_effect("Brown 2005").median, rel=1e-12
    )
    assert frame.loc["Brown 2005", "shrunken_sd"] == pytest.approx(
        pooled.study_effect("Brown 2005").sd, rel=1e-12
    )


def test_dictionaries_are_plain(pooled):
    told = json.loads(json.dumps(pooled.to_dict(), allow_nan=False))
    assert told["estimate"] == pooled.estimate
    assert told["log_marginal_likelihood"] is None
    assert [study["study"] for study in told["studies"]] == STUDIES
    assert told["warnings"] == []
    one = quiet(LOG_HR[:1], se=SE[:1], measure="log_hr", tau_prior="half_cauchy")
    assert json.loads(json.dumps(one.to_dict(), allow_nan=False))["tau_mean"] == "inf"
    assert len(one.to_dict()["warnings"]) == 2


def test_the_notebook_table_is_escaped():
    html = pool_bayes(LOG_HR, se=SE, measure="log_hr", study=["<b>", "B", "C"])._repr_html_()
    assert "&lt;b&gt;" in html
    assert "Mean effect" in html
    assert "0.76 [0.48, 1.11]" in html


def test_results_are_frozen_read_only_and_can_be_stored(pooled):
    with pytest.raises(dataclasses.FrozenInstanceError):
        pooled.k = 4
    for array in (
        pooled.study_estimate,
        pooled.study_se,
        pooled.weight,
        pooled.posterior.mean,
        pooled.tau.panels.point,
    ):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0
    assert pickle.loads(pickle.dumps(pooled)).credible_interval() == pooled.credible_interval()  # noqa: S301


def test_nothing_given_is_changed():
    y, se = np.array(LOG_HR), np.array(SE)
    pool_bayes(y, se=se, measure="log_hr")
    y[0], se[0] = 1.0, 1.0  # still the caller's own


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_intervals_cover_effects_that_come_from_the_priors(seed):
    """Drawn from the priors themselves, 90% intervals hold 90% of means, taus and new effects."""
    rng = np.random.default_rng(seed)
    n, held = 200, np.zeros(3)
    for _ in range(n):
        tau, mean = abs(rng.normal(0, 0.5)), rng.normal(0, 1)
        se = rng.uniform(0.1, 0.5, 4)
        pooled = quiet(rng.normal(mean, np.hypot(tau, se)), se=se, tau_scale=0.5, mean_prior=(0, 1))
        new = rng.normal(mean, tau)
        tails = [pooled.effect.below(mean), pooled.tau.below(tau), pooled.prediction.below(new)]
        held += [0.05 < p < 0.95 for p in tails]
    assert np.all(np.abs(held / n - 0.9) < 4 * np.sqrt(0.9 * 0.1 / n))
