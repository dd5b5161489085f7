"""The posterior against adaptive quadrature of the unnormalised joint, closed forms, limits and a sampler."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.special import ndtr

from netsynth.kernels.heterogeneity import weighted_mean
from netsynth.kernels.mixture import (
    mixture_cdf,
    mixture_density,
    mixture_mean,
    mixture_mode,
    mixture_quantile,
    mixture_sd,
    mixture_sf,
    mixture_upper,
    shortest_interval,
)
from netsynth.kernels.panels import (
    panel_cdf,
    panel_interval,
    panel_mean,
    panel_mode,
    panel_quantile,
    panel_sd,
)
from netsynth.kernels.posterior import (
    joint_mode,
    mean_mixture,
    prediction_mixture,
    prior_log_mass,
    rises_too_steeply,
    study_mixture,
    study_weight,
    tau_posterior,
)
from netsynth.kernels.priors import TAU_PRIORS, from_density, half_cauchy, half_normal, uniform

REFERENCES = Path(__file__).parents[1] / "references"
CASES = json.loads((REFERENCES / "posterior.json").read_text(encoding="utf-8"))

Y, SE = np.array([-0.51, -0.12, -0.33, 0.4]), np.array([0.18, 0.10, 0.15, 0.3])
#: Data, prior of tau, prior of the mean.
FITS = {
    "half-normal": (Y, SE, half_normal(0.5), None),
    "half-normal, normal": (Y, SE, half_normal(0.5), (0.2, 1.0)),
    "half-Cauchy": (Y, SE, half_cauchy(0.3), None),
    "uniform": (Y, SE, uniform(0.7), (0.0, 10.0)),
    "two": (Y[:2], SE[:2], half_normal(0.5), None),
    "one": (Y[:1], SE[:1], half_normal(0.5), (0.1, 0.4)),
    "unequal": (Y, np.array([1e-6, 0.1, 10.0, 1e3]), half_normal(0.5), None),
    "identical": (np.full(5, 0.1), np.full(5, 0.01), half_normal(0.5), None),
    "far apart": (np.array([0.0, 30.0, 31.0]), np.array([1.0, 1.0, 2.0]), half_normal(0.5), None),
    "own": (Y, SE, from_density(lambda tau: 2.0 * np.exp(-2.0 * tau), "exponential"), None),
}


def jeffreys(se):
    """Jeffreys's prior of tau, which the reference case has: the root of the information."""
    return lambda tau: np.sqrt(((tau[..., None] / (se**2 + tau[..., None] ** 2)) ** 2).sum(-1))


def prior_of(case):
    options = case["options"]
    if options["tau_prior"] == "jeffreys":
        return from_density(jeffreys(np.array(case["input"]["sei"])), "jeffreys")
    return TAU_PRIORS[options["tau_prior"]](options["tau_scale"])


def log_normal(x, mean, sd):
    return -0.5 * ((x - mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)


class Joint:
    """Everything by quadrature over tau of multivariate normals; slow, and shares no line with the kernel."""

    def __init__(self, y, se, prior, mean_prior):
        self.y, self.se, self.prior, self.mean_prior = y, se, prior, mean_prior
        grid = np.append(0.0, np.geomspace(1e-4 * se.min(), 1e3 * (se.max() + np.ptp(y)), 400))
        grid = grid[grid <= prior.upper]
        self.top = max(self.log_height(tau)[0] for tau in grid)
        seen = [tau for tau in grid if self.log_height(tau)[0] > self.top - 60]
        pieces = max(1, (len(seen) - 1) // 12)
        last = (
            min(prior.upper, 1e6 * seen[-1])
            if prior.name == "half_cauchy"
            else min(prior.upper, 3 * seen[-1])
        )
        self.cuts = [0.0, *seen[1::pieces], last]
        self.mass = self.integral(lambda _tau, _mean, _sd: 1.0)

    def log_height(self, tau):
        total = self.se**2 + tau**2
        precision, moment = (1 / total).sum(), (self.y / total).sum()
        if self.mean_prior is None:
            mean, sd = moment / precision, precision**-0.5
            # p(y | mu) p(mu) / p(mu | y) at the mean, where p(mu) is 1
            log_likelihood = log_normal(self.y, mean, np.sqrt(total)).sum() - log_normal(mean, mean, sd)
        else:
            centre, spread = self.mean_prior
            precision, moment = precision + spread**-2, moment + centre / spread**2
            mean, sd = moment / precision, precision**-0.5
            covariance, apart = np.diag(total) + spread**2, self.y - centre
            quadratic = apart @ np.linalg.solve(covariance, apart)
            log_likelihood = -0.5 * (quadratic + np.linalg.slogdet(2 * np.pi * covariance)[1])
        return log_likelihood + float(self.prior.log_density(np.array(tau))), mean, sd

    def integral(self, function, last=np.inf):
        def height(tau):
            log_height, mean, sd = self.log_height(tau)
            return function(tau, mean, sd) * np.exp(log_height - self.top)

        cuts = [cut for cut in self.cuts if cut < last] + ([last] if last < self.cuts[-1] else [])
        return sum(
            integrate.quad(height, a, b, epsabs=1e-13, epsrel=1e-10, limit=200)[0] for a, b in pairwise(cuts)
        )

    def mean_of(self, function):
        return self.integral(function) / self.mass


@pytest.mark.parametrize("name", FITS)
def test_quadrature_of_the_joint(name):
    y, se, prior, mean_prior = FITS[name]
    joint, posterior = Joint(y, se, prior, mean_prior), tau_posterior(y, se**2, prior, mean_prior)
    assert posterior.tau.converged
    if prior.is_proper:
        assert posterior.log_evidence == pytest.approx(np.log(joint.mass) + joint.top, abs=1e-8)
    effect, new = mean_mixture(posterior), prediction_mixture(posterior)
    mean = joint.mean_of(lambda _tau, m, _s: m)
    assert mixture_mean(effect) == pytest.approx(mean, rel=1e-8, abs=1e-9)
    if posterior.tau.has_moment(2):
        variance = joint.mean_of(lambda _tau, m, s: s**2 + (m - mean) ** 2)
        # the quadrature, not the panels, is cut off far out in a Cauchy tail
        rel = 1e-5 if prior.name == "half_cauchy" else 1e-8
        assert mixture_sd(effect) == pytest.approx(variance**0.5, rel=rel)
        variance = joint.mean_of(lambda tau, m, s: tau**2 + s**2 + (m - mean) ** 2)
        assert mixture_sd(new) == pytest.approx(variance**0.5, rel=rel)
    if posterior.tau.has_moment(1):
        assert panel_mean(posterior.tau) == pytest.approx(joint.mean_of(lambda tau, _m, _s: tau), rel=1e-7)
    for p in (0.025, 0.5, 0.975):
        x = float(mixture_quantile(np.array(p), effect))
        assert joint.mean_of(lambda _t, m, s, x=x: ndtr((x - m) / s)) == pytest.approx(p, abs=1e-8)
        x = float(mixture_quantile(np.array(p), new))
        got = joint.mean_of(lambda t, m, s, x=x: ndtr((x - m) / np.hypot(s, t)))
        assert got == pytest.approx(p, abs=1e-8)
        tau = float(panel_quantile(np.array(p), posterior.tau))
        below = joint.integral(lambda _tau, _m, _s: 1.0, last=tau) / joint.mass
        assert below == pytest.approx(p, abs=1e-8)


@pytest.mark.parametrize("name", ["half-normal", "half-normal, normal", "unequal"])
def test_quadrature_of_each_study(name):
    y, se, prior, mean_prior = FITS[name]
    joint, posterior = Joint(y, se, prior, mean_prior), tau_posterior(y, se**2, prior, mean_prior)
    parts = study_mixture(posterior, y, se**2)
    centre, spread = mixture_mean(parts), mixture_sd(parts)
    for i in range(y.size):

        def given(tau, m, s, i=i):
            """By Bayes's rule: prior N(mu, tau^2) and the study's own data, then over mu."""
            precision = 1 / se[i] ** 2 + 1 / tau**2
            return (y[i] / se[i] ** 2 + m / tau**2) / precision, 1 / precision + (s / tau**2 / precision) ** 2

        mean = joint.mean_of(lambda t, m, s: given(t, m, s)[0])
        second = joint.mean_of(lambda t, m, s, mean=mean: given(t, m, s)[1] + (given(t, m, s)[0] - mean) ** 2)
        assert centre[i] == pytest.approx(mean, rel=1e-7, abs=1e-9)
        assert spread[i] == pytest.approx(second**0.5, rel=1e-6)
        weight = joint.mean_of(lambda t, _m, s, i=i: s**2 / (se[i] ** 2 + t**2))
        assert study_weight(posterior, se**2)[i] == pytest.approx(weight, rel=1e-8, abs=1e-12)
    if mean_prior is None:
        assert study_weight(posterior, se**2).sum() == pytest.approx(1, abs=1e-12)
        assert study_weight(posterior, se**2) @ y == pytest.approx(
            mixture_mean(mean_mixture(posterior)), rel=1e-10
        )
    else:
        assert study_weight(posterior, se**2).sum() < 1


def test_double_quadrature_over_mean_and_tau():
    """The joint density as it is defined, nothing integrated out beforehand."""
    y, se, prior, (centre, spread) = FITS["half-normal, normal"]

    nodes, weights = np.polynomial.legendre.leggauss(120)
    mu, tau = 3 * nodes, 2 * (nodes + 1)
    likelihood = log_normal(y, mu[:, None, None], np.hypot(se, tau[:, None])).sum(-1)
    priors = log_normal(mu, centre, spread)[:, None] + stats.halfnorm(scale=0.5).logpdf(tau)
    grid = np.exp(likelihood + priors) * weights[:, None] * weights * 3 * 2
    posterior = tau_posterior(y, se**2, prior, (centre, spread))
    assert posterior.log_evidence == pytest.approx(np.log(grid.sum()), abs=1e-6)
    assert mixture_mean(mean_mixture(posterior)) == pytest.approx((grid.sum(1) @ mu) / grid.sum(), abs=1e-6)
    assert panel_mean(posterior.tau) == pytest.approx((grid.sum(0) @ tau) / grid.sum(), abs=1e-6)


def test_importance_sampling():
    y, se, prior, mean_prior = FITS["half-normal"]
    posterior = tau_posterior(y, se**2, prior, mean_prior)
    rng = np.random.default_rng(20241125)
    tau = np.abs(rng.normal(0, 0.5, 200_000))
    total = se**2 + tau[:, None] ** 2
    mean = (y / total).sum(1) / (1 / total).sum(1)
    log_weight = stats.norm.logpdf(y, mean[:, None], np.sqrt(total)).sum(1) - 0.5 * np.log((1 / total).sum(1))
    weight = np.exp(log_weight - log_weight.max())
    mu = rng.normal(mean, (1 / total).sum(1) ** -0.5)
    for sample, expected in (
        (tau, panel_mean(posterior.tau)),
        (mu, mixture_mean(mean_mixture(posterior))),
        ((mu < -0.5).astype(float), mixture_cdf(np.array(-0.5), mean_mixture(posterior))),
        ((tau > 0.4).astype(float), 1 - panel_cdf(np.array(0.4), posterior.tau)),
    ):
        got = (weight @ sample) / weight.sum()
        error = np.sqrt(weight**2 @ (sample - got) ** 2) / weight.sum()
        assert abs(got - expected) < 4 * error
        assert error < 0.005


# --- reference -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_reference_tau(case):
    # bayesmeta integrates over tau adaptively, so its tau is exact; its optimiser finds modes less closely
    y, v = np.array(case["input"]["yi"]), np.array(case["input"]["sei"]) ** 2
    prior, mean_prior = prior_of(case), case["options"]["mean_prior"]
    posterior, printed = tau_posterior(y, v, prior, mean_prior), case["output"]["tau"]
    assert panel_mean(posterior.tau) == pytest.approx(printed["mean"], rel=2e-7)
    assert panel_quantile(np.array(0.5), posterior.tau) == pytest.approx(printed["median"], rel=2e-6)
    assert panel_mode(posterior.tau) == pytest.approx(printed["mode"], rel=2e-6)
    assert panel_interval(posterior.tau, 0.95) == pytest.approx(printed["shortest"], rel=5e-4, abs=1e-6)
    if printed["sd"] is None:  # which bayesmeta gives for one that does not exist
        assert panel_sd(posterior.tau) == np.inf
    else:
        assert panel_sd(posterior.tau) == pytest.approx(printed["sd"], rel=2e-7)
    if "central" in printed:
        ends = panel_quantile(np.array([0.025, 0.975]), posterior.tau)
        assert ends == pytest.approx(printed["central"], rel=2e-7)
        assert panel_quantile(np.array(0.95), posterior.tau) == pytest.approx(printed["q95"], rel=1e-6)
    tau, mean = joint_mode(posterior, y, v, prior, mean_prior)
    assert (tau, mean) == pytest.approx(
        (case["output"]["map_joint"]["tau"], case["output"]["map_joint"]["mu"]), rel=5e-5, abs=1e-6
    )


def shortest(parts, level):
    return shortest_interval(
        lambda p: mixture_quantile(p, parts),
        lambda p: mixture_upper(p, parts),
        lambda x: mixture_density(x, parts),
        level,
        parts.weight.shape[:-1],
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_reference_effects(case):
    # bayesmeta replaces the mixture by one of a few normals whose divergence from it is below 0.01, so that
    # its effects are good to about a hundredth of a standard deviation, and the far limits to a few
    y, v = np.array(case["input"]["yi"]), np.array(case["input"]["sei"]) ** 2
    posterior = tau_posterior(y, v, prior_of(case), case["options"]["mean_prior"])
    parts, printed = mean_mixture(posterior), case["output"]["mu"]
    sd = printed["sd"]
    assert mixture_mode(parts) == pytest.approx(printed["mode"], abs=0.001 * sd)
    assert mixture_quantile(np.array(0.5), parts) == pytest.approx(printed["median"], abs=0.001 * sd)
    assert mixture_mean(parts) == pytest.approx(printed["mean"], abs=0.001 * sd)
    if posterior.tau.has_moment(2):
        assert mixture_sd(parts) == pytest.approx(sd, rel=0.001)
    assert shortest(parts, 0.95) == pytest.approx(printed["shortest"], abs=0.001 * sd)
    if "above_0" in printed:
        assert mixture_sf(np.array(0.0), parts) == pytest.approx(printed["above_0"], abs=5e-5)
        assert mixture_upper(np.array(0.05), parts) == pytest.approx(printed["q95"], abs=0.001 * sd)
    printed = case["output"]["theta"]
    index = printed["index"]
    parts = study_mixture(posterior, y, v)
    sd = np.array(printed["sd"])
    low, high = shortest(parts, 0.95)
    for got, expected in (
        (mixture_mode(parts), printed["mode"]),
        (mixture_quantile(np.full(y.size, 0.5), parts), printed["median"]),
        (mixture_mean(parts), printed["mean"]),
        (mixture_sd(parts), sd),
        (low, printed["lower"]),
        (high, printed["upper"]),
    ):
        assert np.all(np.abs(got[index] - expected) <= 0.006 * sd)


# --- closed forms and limits ---------------------------------------------------------------------------------


@pytest.mark.parametrize("prior", [half_normal(0.5), half_cauchy(0.5), uniform(2.0)], ids=lambda p: p.name)
def test_one_study_leaves_tau_its_prior(prior):
    posterior = tau_posterior(np.array([0.3]), np.array([0.04]), prior)
    tau = panel_quantile(np.array([0.05, 0.5, 0.95]), posterior.tau)
    np.testing.assert_allclose(prior.survival(tau), [0.95, 0.5, 0.05], rtol=1e-10)
    assert mixture_quantile(np.array(0.5), mean_mixture(posterior)) == pytest.approx(0.3, rel=1e-12)
    if prior.name == "half_normal":  # whose second moment is its scale squared
        assert mixture_sd(mean_mixture(posterior)) == pytest.approx(np.sqrt(0.04 + 0.25), rel=1e-12)
        assert mixture_sd(prediction_mixture(posterior)) == pytest.approx(np.sqrt(0.04 + 0.5), rel=1e-12)


def test_a_tiny_scale_is_the_common_effect():
    posterior = tau_posterior(Y, SE**2, half_normal(1e-9))
    common = weighted_mean(Y, SE**2)
    assert mixture_mean(mean_mixture(posterior)) == pytest.approx(common.mean, rel=1e-10)
    assert mixture_sd(mean_mixture(posterior)) == pytest.approx(common.variance**0.5, rel=1e-10)
    assert posterior.log_evidence == pytest.approx(posterior.log_homogeneous, abs=1e-10)


def test_an_own_density_may_live_far_below_the_errors():
    scale = 1e-6
    own = from_density(lambda tau: np.exp(-0.5 * (tau / scale) ** 2), "own")
    one, other = tau_posterior(Y, SE**2, own), tau_posterior(Y, SE**2, half_normal(scale))
    p = np.array([0.025, 0.5, 0.975])
    np.testing.assert_allclose(panel_quantile(p, one.tau), panel_quantile(p, other.tau), rtol=1e-9)


def test_huge_errors_leave_the_priors():
    posterior = tau_posterior(Y, np.full(4, 1e12), half_normal(0.5), (0.2, 1.0))
    assert mixture_mean(mean_mixture(posterior)) == pytest.approx(0.2, abs=1e-9)
    assert mixture_sd(mean_mixture(posterior)) == pytest.approx(1.0, rel=1e-9)
    assert panel_mean(posterior.tau) == pytest.approx(0.5 * np.sqrt(2 / np.pi), rel=1e-9)


def test_a_wide_prior_of_the_mean_is_flat():
    flat, wide = (
        tau_posterior(Y, SE**2, half_normal(0.5)),
        tau_posterior(Y, SE**2, half_normal(0.5), (0.0, 1e6)),
    )
    np.testing.assert_allclose(
        mixture_quantile(np.array([0.025, 0.975]), mean_mixture(wide)),
        mixture_quantile(np.array([0.025, 0.975]), mean_mixture(flat)),
        rtol=1e-10,
    )
    # whose height is that of the normal at its centre
    height = stats.norm(0, 1e6).logpdf(0)
    assert wide.log_evidence - flat.log_evidence == pytest.approx(height, abs=1e-9)


def test_homogeneous_likelihood_is_a_multivariate_normal():
    posterior = tau_posterior(Y, SE**2, half_normal(0.5), (0.2, 1.0))
    expected = stats.multivariate_normal(np.full(4, 0.2), np.diag(SE**2) + 1.0).logpdf(Y)
    assert posterior.log_homogeneous == pytest.approx(expected, rel=1e-12)


def test_a_study_in_parts_is_one_study_without_heterogeneity():
    """Half the patients twice, each with twice the variance, tell as much of the mean; of tau only if it is not 0."""
    whole = tau_posterior(Y, SE**2, half_normal(1e-9), (0.0, 1.0))
    parts = tau_posterior(
        np.append(Y, Y[:1]),
        np.append(SE**2, 2 * SE[:1] ** 2) * np.array([2, 1, 1, 1, 1]),
        half_normal(1e-9),
        (0.0, 1.0),
    )
    assert mixture_mean(mean_mixture(parts)) == pytest.approx(mixture_mean(mean_mixture(whole)), rel=1e-10)
    assert mixture_sd(mean_mixture(parts)) == pytest.approx(mixture_sd(mean_mixture(whole)), rel=1e-10)


def test_joint_mode_is_the_highest_point():
    for name in ("half-normal", "half-normal, normal", "far apart", "uniform"):
        y, se, prior, mean_prior = FITS[name]
        posterior = tau_posterior(y, se**2, prior, mean_prior)
        tau, mean = (float(value) for value in joint_mode(posterior, y, se**2, prior, mean_prior))

        def height(tau, mu, fit=(y, se, prior, mean_prior)):
            y, se, prior, mean_prior = fit
            found = log_normal(y, mu, np.hypot(se, tau)).sum() + float(prior.log_density(np.array(tau)))
            return found + (log_normal(mu, *mean_prior) if mean_prior else 0.0)

        best = height(tau, mean)
        around = [
            height(t, m)
            for t in np.linspace(0, min(3 * tau + 1, prior.upper), 60)
            for m in mean + np.linspace(-0.5, 0.5, 61)
        ]
        assert best >= max(around) - 1e-12
        assert best >= height(abs(tau - 1e-4), mean)


def test_tails_and_moments():
    tails = {1: -2, 2: -3, 4: -5}  # of a half-Cauchy prior, falling by one with each study more
    for k, tail in tails.items():
        assert tau_posterior(Y[:k], SE[:k] ** 2, half_cauchy(0.5)).tau.tail == pytest.approx(tail, abs=1e-6)
    improper = {2: False, 3: True}
    for k, is_proper in improper.items():
        assert tau_posterior(Y[:k], SE[:k] ** 2, uniform(np.inf)).tau.is_proper == is_proper
    assert tau_posterior(Y[:2], SE[:2] ** 2, uniform(np.inf), (0.0, 1.0)).tau.is_proper


def test_mass_of_a_prior():
    masses = {
        "exponential": (lambda tau: 3.0 * np.exp(-tau), np.log(3.0)),
        "infinite at 0": (lambda tau: np.exp(-tau) / np.sqrt(np.maximum(tau, 1e-300)), 0.5 * np.log(np.pi)),
        "flat": (np.ones_like, np.inf),
        "Lomax": (lambda tau: (1.0 + tau) ** -2, 0.0),
        "reciprocal": (lambda tau: 1.0 / np.maximum(tau, 1e-300), np.inf),
    }
    for name, (density, expected) in masses.items():
        assert prior_log_mass(from_density(density, name), 0.1) == pytest.approx(expected, abs=1e-10)
    assert rises_too_steeply(from_density(masses["reciprocal"][0], "reciprocal"), 0.1)
    assert not rises_too_steeply(from_density(masses["infinite at 0"][0], "infinite at 0"), 0.1)


def test_effects_a_million_errors_apart():
    """The likelihood is a sharp peak in tau then; a quadrature that knows where it is agrees."""
    y, v, prior = np.array([0.0, 1e6]), np.ones(2), half_normal(0.5)
    posterior = tau_posterior(y, v, prior)
    assert posterior.tau.converged
    centre = float(panel_mode(posterior.tau))

    def log_height(tau):
        return -2.0 * tau**2 - 0.5 * np.log1p(tau**2) - 0.25 * (1e12 / (1.0 + tau**2))

    top = log_height(centre)
    ends = (centre - 3, centre, centre + 3)

    def integral(f):
        return sum(
            integrate.quad(lambda t: f(t) * np.exp(log_height(t) - top), a, b)[0] for a, b in pairwise(ends)
        )

    assert panel_mean(posterior.tau) == pytest.approx(
        integral(lambda t: t) / integral(lambda _: 1.0), rel=1e-8
    )
    assert mixture_mean(mean_mixture(posterior)) == pytest.approx(5e5, rel=1e-12)


# --- properties ----------------------------------------------------------------------------------------------


@st.composite
def studies(draw, min_k=2, max_k=8):
    k = draw(st.integers(min_k, max_k))
    v = np.exp(np.array(draw(st.lists(st.floats(-6, 2), min_size=k, max_size=k))))
    z = np.array(draw(st.lists(st.floats(-4, 4), min_size=k, max_size=k)))
    return z * np.sqrt(v + draw(st.sampled_from([0.0, 0.1, 3.0]))), v


@settings(max_examples=40)
@given(studies(), st.floats(-5, 5), st.floats(0.01, 100))
def test_a_shift_moves_and_a_scale_stretches(study, shift, scale):
    y, v = study
    before = tau_posterior(y, v, half_normal(0.5), (0.1, 2.0))
    after = tau_posterior(
        shift + scale * y, scale**2 * v, half_normal(0.5 * scale), (shift + 0.1 * scale, 2.0 * scale)
    )
    p = np.array([0.025, 0.5, 0.9])
    expected = shift + scale * mixture_quantile(p, mean_mixture(before))
    np.testing.assert_allclose(
        mixture_quantile(p, mean_mixture(after)), expected, rtol=1e-8, atol=1e-9 * scale
    )
    np.testing.assert_allclose(panel_quantile(p, after.tau), scale * panel_quantile(p, before.tau), rtol=1e-8)
    # the density of the data shrinks with the unit, once for each study
    assert after.log_evidence == pytest.approx(before.log_evidence - y.size * np.log(scale), abs=1e-8)


@settings(max_examples=30)
@given(studies(), st.randoms())
def test_order_does_not_matter(study, random):
    y, v = study
    order = list(range(y.size))
    random.shuffle(order)
    one, other = tau_posterior(y, v, half_normal(0.5)), tau_posterior(y[order], v[order], half_normal(0.5))
    assert other.log_evidence == pytest.approx(one.log_evidence, rel=1e-10, abs=1e-10)
    assert mixture_mean(mean_mixture(other)) == pytest.approx(
        mixture_mean(mean_mixture(one)), rel=1e-8, abs=1e-9
    )


@settings(max_examples=30)
@given(studies())
def test_each_study_is_drawn_towards_the_mean(study):
    y, v = study
    posterior = tau_posterior(y, v, half_normal(0.5))
    drawn = mixture_mean(study_mixture(posterior, y, v))
    spread = mixture_sd(study_mixture(posterior, y, v))
    low, high = np.minimum(y, posterior.mean.min()), np.maximum(y, posterior.mean.max())
    assert np.all((low - 1e-9 <= drawn) & (drawn <= high + 1e-9))
    # given tau a study is known no worse than a new one, and its mean lies between the two ends, so that over tau it
    # cannot spread by more than half their distance
    new = mixture_sd(prediction_mixture(posterior))
    assert np.all(spread**2 <= new**2 + (0.5 * (high - low)) ** 2 + 1e-9)


def test_many_sets_at_once_are_each_by_itself():
    rng = np.random.default_rng(20241125)
    v = np.exp(rng.uniform(-5, 1, (30, 8)))
    y = rng.standard_normal((30, 8)) * np.sqrt(v + rng.choice([0.0, 0.1, 5.0], (30, 1)))
    v[:, 2:][rng.random((30, 6)) < 0.3] = np.inf
    y[np.isinf(v)] = 1e200  # whatever stands there must not matter
    for prior, mean_prior in ((half_normal(0.5), None), (half_cauchy(0.2), (0.0, 1.0))):
        together = tau_posterior(y, v, prior, mean_prior)
        assert together.tau.converged.all()
        parts = mean_mixture(together)
        low, high = mixture_quantile(np.full(30, 0.025), parts), mixture_upper(np.full(30, 0.025), parts)
        mode, tau, weight = (
            panel_mode(together.tau),
            panel_quantile(np.full(30, 0.9), together.tau),
            study_weight(together, v),
        )
        joint = joint_mode(together, y, v, prior, mean_prior)
        new = prediction_mixture(together)
        absent = study_mixture(together, y, v)
        for i in range(30):
            present = np.isfinite(v[i])
            alone = tau_posterior(y[i, present], v[i, present], prior, mean_prior)
            assert together.log_evidence[i] == pytest.approx(alone.log_evidence, rel=1e-12, abs=1e-12)
            one = mean_mixture(alone)
            assert low[i] == pytest.approx(mixture_quantile(np.array(0.025), one), rel=1e-11)
            assert high[i] == pytest.approx(mixture_upper(np.array(0.025), one), rel=1e-11)
            assert mode[i] == pytest.approx(panel_mode(alone.tau), rel=1e-8, abs=1e-8)
            assert tau[i] == pytest.approx(panel_quantile(np.array(0.9), alone.tau), rel=1e-11)
            expected = joint_mode(alone, y[i, present], v[i, present], prior, mean_prior)
            assert (joint[0][i], joint[1][i]) == pytest.approx(
                tuple(map(float, expected)), rel=1e-6, abs=1e-7
            )
            np.testing.assert_allclose(weight[i, present], study_weight(alone, v[i, present]), rtol=1e-11)
            np.testing.assert_array_equal(weight[i, ~present], 0)
            for j in np.flatnonzero(~present):  # of which nothing is known but that it is a study of the kind
                np.testing.assert_allclose(absent.sd[i, j], new.sd[i], rtol=1e-12)
