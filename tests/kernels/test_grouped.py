import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from scipy.integrate import dblquad
from scipy.special import gammaln

from netsynth.kernels.families import FAMILIES
from netsynth.kernels.grouped import (
    Fragments,
    effective_numbers,
    fit,
    log_likelihood,
    saturated,
)
from netsynth.kernels.splines import royston_parmar
from netsynth.kernels.survival_variance import reported_variance

TIME = np.array([3.0, 5.0, 10.0])
SURVIVAL = np.array([0.83, 0.705, 0.42])
#: Parameters, deviance, median and mean up to 10 of six families for a hundred patients all followed, from the
#: multinomial likelihood of the four intervals, computed before there was any of this code; to the last digit given.
COMPUTED = {
    "exponential": ([0.08250], 2.8504, 8.401, 6.8091),
    "weibull": ([np.exp(2.4145), np.exp(0.2522)], 0.0352, 8.412, 7.0732),
    "lognormal": ([2.1077, np.exp(0.0258)], 0.7126, 8.229, 7.0543),
    "loglogistic": ([np.exp(2.1133), np.exp(0.4773)], 0.4078, 8.276, 7.0574),
    "gamma": ([np.exp(0.3663), np.exp(2.0068)], 0.0901, 8.378, 7.0674),
    "gompertz": ([np.exp(-2.8849), 0.0825], 0.0372, 8.544, 7.0832),
}
SCIPY = {
    "exponential": lambda a: stats.expon(scale=np.exp(-a[0])),
    "weibull": lambda a: stats.weibull_min(np.exp(a[1]), scale=np.exp(a[0])),
    "lognormal": lambda a: stats.lognorm(np.exp(a[1]), scale=np.exp(a[0])),
    "loglogistic": lambda a: stats.fisk(np.exp(a[1]), scale=np.exp(a[0])),
    "gamma": lambda a: stats.gamma(np.exp(a[0]), scale=np.exp(a[1])),
}


def followed(survival, n, half=0.0, time=TIME):
    """A report whose n patients were all followed."""
    survival = np.asarray(survival, dtype=float)
    before = np.concatenate([np.ones((*survival.shape[:-1], 1)), survival[..., :-1]], axis=-1)
    lower, upper = np.maximum(survival - half, 0.0), np.minimum(survival + half, 1.0)
    return Fragments(np.asarray(time, dtype=float), survival, lower, upper, n * before)


def multinomial(survival, n, cells):
    """n sum(dF log dP) over the intervals and the survivors, term by term."""
    total, before = 0.0, 1.0
    for now, cell in zip(survival, cells[:-1], strict=True):
        if before > now:
            total += n * (before - now) * np.log(cell)
        before = now
    return total + n * before * np.log(cells[-1])


# --- published and reference ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMPUTED)
def test_the_well_known_example(name):
    natural, deviance, median, mean = COMPUTED[name]
    report, family = followed(SURVIVAL, 100), FAMILIES[name]
    found = fit(family, report)
    curve = family.curve(found.theta)
    assert found.converged
    assert family.natural(found.theta) == pytest.approx(natural, rel=1e-4, abs=5.1e-5)
    assert 2 * (saturated(report) - found.log_likelihood) == pytest.approx(deviance, abs=5.1e-5)
    assert curve.time_at(np.log([2.0])).item() == pytest.approx(median, abs=5.1e-4)
    assert curve.area(np.array([10.0])).item() == pytest.approx(mean, abs=5.1e-5)


FITTERS = {
    "exponential": ("ExponentialFitter", lambda f: [1 / f.lambda_]),
    "weibull": ("WeibullFitter", lambda f: [f.lambda_, f.rho_]),
    "lognormal": ("LogNormalFitter", lambda f: [f.mu_, f.sigma_]),
    "loglogistic": ("LogLogisticFitter", lambda f: [f.alpha_, f.beta_]),
}


@pytest.mark.parametrize("name", FITTERS)
def test_lifelines_finds_the_same_from_patients_in_intervals(name):
    """Two hundred patients, each known to have died within an interval or to have outlived the last."""
    import lifelines

    deaths, n = np.array([34, 25, 57]), 200
    survival = 1 - np.cumsum(deaths) / n
    lower = np.repeat([0.0, *TIME], [*deaths, n - deaths.sum()])
    upper = np.repeat([*TIME, np.inf], [*deaths, n - deaths.sum()])
    kind, parameters = FITTERS[name]
    theirs = getattr(lifelines, kind)().fit_interval_censoring(lower, upper)
    family, report = FAMILIES[name], followed(survival, n)
    found = fit(family, report)
    assert family.natural(found.theta) == pytest.approx(parameters(theirs), rel=2e-4)
    # a death on a border has no probability, so closed intervals and half-open ones do not differ
    constant = gammaln(n + 1) - gammaln(deaths + 1).sum() - gammaln(n - deaths.sum() + 1)
    constant += sum(np.log(count) for count in (n, n - 34, n - 59)) - sum(
        np.log([1, survival[0], survival[1]])
    )
    assert found.log_likelihood - constant == pytest.approx(theirs.log_likelihood_, abs=1e-4)
    # their standard errors are those of the parameters themselves, ours of the logarithms of the positive ones
    slopes = np.array(parameters(theirs))
    if name == "exponential":
        slopes = np.array([theirs.lambda_])
    if name == "lognormal":
        slopes[0] = 1.0
    se = np.sqrt(np.diag(found.covariance)) * slopes
    assert se == pytest.approx(theirs.summary["se(coef)"].to_numpy(), rel=2e-3)


# --- second implementations -------------------------------------------------------------------------------


@st.composite
def reports(draw, least=2):
    size = draw(st.integers(least, 5))
    time = np.cumsum(draw(st.lists(st.floats(0.5, 20), min_size=size, max_size=size)))
    falls = np.array(draw(st.lists(st.floats(0.03, 0.5), min_size=size, max_size=size)))
    return time, np.cumprod(1 - falls)


@given(reports(), st.floats(5, 2000), st.lists(st.floats(0.02, 2), min_size=5, max_size=5))
def test_the_likelihood_is_the_multinomial_one(report, n, growth):
    time, survival = report
    h = np.cumsum(growth[: time.size])
    ours = followed(survival, n, time=time)
    cells = -np.diff(np.exp(-h), prepend=1.0)
    expected = multinomial(survival, n, [*cells, np.exp(-h[-1])])
    at_best = multinomial(survival, n, [*-np.diff(survival, prepend=1.0), survival[-1]])
    difference = log_likelihood(h, ours) - saturated(ours)
    assert difference == pytest.approx(expected - at_best, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", SCIPY)
@settings(max_examples=12)
@given(report=reports(), n=st.floats(20, 1000))
def test_a_search_without_derivatives_finds_no_better(name, report, n):
    time, survival = report

    def minus(theta):
        s = SCIPY[name](theta).sf(time)
        cells = [*-np.diff(s, prepend=1.0), s[-1]]
        return -multinomial(survival, n, np.maximum(cells, 1e-300))

    found = fit(FAMILIES[name], followed(survival, n, time=time))
    assert found.converged
    search = optimize.minimize(
        minus,
        found.theta + 0.05,
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-11, "maxiter": 4000},
    )
    assert minus(found.theta) <= search.fun + 1e-7


def continuous_binomial(p_hat, p, count):
    """The density of a share of patients who need not be whole."""
    alive = count * p_hat
    coefficient = gammaln(count + 1) - gammaln(alive + 1) - gammaln(count - alive + 1)
    return np.exp(coefficient + alive * np.log(p) + (count - alive) * np.log1p(-p)) * count


@pytest.mark.parametrize(
    ("survival", "half", "tolerance"),
    [
        ((0.7, 0.4), 0.0005, 1e-6),
        ((0.7, 0.4), 0.005, 1e-6),
        ((0.7, 0.4), 0.05, 1e-6),
        ((0.53, 0.53), 0.005, 0.02),  # half of the pairs would rise, and have no probability
        ((0.53, 0.525), 0.005, 0.1),  # where an eighth of them would, nodes tell roughly
    ],
)
def test_rounding_is_integrated_over(survival, half, tolerance):
    """Two percentages: the double integral of two binomial distributions with counts that need not be whole."""
    s, n, h = np.array(survival), np.array([60.0, 35.0]), np.array([0.4, 0.5])
    report = Fragments(np.array([1.0, 2.0]), s, s - half, s + half, n)
    p = np.exp(-np.diff(h, prepend=0.0))

    def both(later, first):
        return continuous_binomial(first, p[0], n[0]) * continuous_binomial(later / first, p[1], n[1]) / first

    def highest(first):
        return max(min(first, s[1] + half), s[1] - half)

    expected, _ = dblquad(both, s[0] - half, s[0] + half, s[1] - half, highest, epsabs=1e-12)
    assert np.exp(log_likelihood(h, report)) == pytest.approx(expected, rel=tolerance)


def test_a_number_followed_by_one_that_cannot_be_higher():
    """53% and 53%: half of the pairs of what they may have been would rise, and have no probability."""
    report = followed([0.53, 0.53], 1e4, half=0.005, time=[1.0, 2.0])
    steady = fit(FAMILIES["weibull"], report)
    s = np.exp(-FAMILIES["weibull"].curve(steady.theta).cumulative_hazard(np.array([1.0, 2.0])))
    assert (np.abs(s - 0.53) < 0.02).all()
    assert s[1] < s[0]


# --- what rounding does -----------------------------------------------------------------------------------


def test_the_likelihood_does_not_fight_within_rounding():
    """A curve through all rounding intervals, none through the middles: with a million patients it fits well."""
    truth = FAMILIES["weibull"].curve(np.array([2.4, 0.3]))
    time = np.array([2.0, 4.0, 6.0, 8.0, 12.0])
    printed = np.round(np.exp(-truth.cumulative_hazard(time)), 2)
    for half, most in ((0.0, np.inf), (0.005, 12.0)):
        report = followed(printed, 1e6, half=half, time=time)
        found = fit(FAMILIES["weibull"], report)
        deviance = 2 * (saturated(report) - found.log_likelihood)
        assert deviance < most
    exact = followed(printed, 1e6, time=time)
    assert 2 * (saturated(exact) - fit(FAMILIES["weibull"], exact).log_likelihood) > 100


def test_the_information_in_a_rounded_percentage():
    """Curvature at the middle of the logarithm of the probability that a normal estimate falls into the interval."""
    half, s = 0.005, 0.6
    for n in (1e2, 1e3, 1e4, 1e5):
        report = followed([s], n, half=half, time=[1.0])
        variance = fit(FAMILIES["exponential"], report).covariance.item() * (s * np.log(s)) ** 2
        se = np.sqrt(s * (1 - s) / n)
        z = half / se
        information = 2 * z * stats.norm.pdf(z) / (2 * stats.norm.cdf(z) - 1) / se**2
        assert variance == pytest.approx(1 / information, rel=0.02)
        if n <= 1e3:  # while the interval is narrow, the variance of a uniform distribution is added
            assert variance == pytest.approx(se**2 + half**2 / 3, rel=0.02)


# --- properties -------------------------------------------------------------------------------------------


def test_as_many_parameters_as_figures_pass_through_them():
    report = followed(SURVIVAL, 80)
    for family in (FAMILIES["generalized_gamma"], royston_parmar(np.log(TIME))):
        found = fit(family, report)
        assert np.exp(-family.curve(found.theta).cumulative_hazard(TIME)) == pytest.approx(SURVIVAL, abs=2e-5)
        assert saturated(report) - found.log_likelihood == pytest.approx(0, abs=1e-7)
    two = followed(SURVIVAL[:2], 80, time=TIME[:2])
    for name, family in FAMILIES.items():
        if len(family.parameters) == 2:
            found = fit(family, two)
            s = np.exp(-family.curve(found.theta).cumulative_hazard(TIME[:2]))
            assert s == pytest.approx(SURVIVAL[:2], abs=1e-7), name


def test_one_percentage_determines_an_exponential():
    s, t, n = 0.7, 24.0, 50.0
    found = fit(FAMILIES["exponential"], followed([s], n, time=[t]))
    assert np.exp(found.theta).item() == pytest.approx(-np.log(s) / t, rel=1e-7)
    assert found.covariance.item() == pytest.approx((1 - s) / (s * n * np.log(s) ** 2), rel=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_many_reports_are_fitted_like_one(name):
    survival = np.array([[0.83, 0.705, 0.42], [0.6, 0.5, 0.45], [0.99, 0.9, 0.2]])
    n = np.array([[[60.0], [200.0], [35.0]]])
    batch = fit(FAMILIES[name], followed(survival[None], n, half=0.005))
    assert batch.theta.shape[:-1] == batch.log_likelihood.shape == (1, 3)
    for i in range(3):
        one = fit(FAMILIES[name], followed(survival[i], n[0, i, 0], half=0.005))
        assert batch.log_likelihood[0, i] == pytest.approx(one.log_likelihood, abs=1e-7)
        h = [FAMILIES[name].curve(theta).cumulative_hazard(TIME) for theta in (batch.theta[0, i], one.theta)]
        assert h[0] == pytest.approx(h[1], abs=1e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_unit_of_time_does_not_matter(name):
    years, months = followed(SURVIVAL, 90), followed(SURVIVAL, 90, time=12 * TIME)
    curves = [FAMILIES[name].curve(fit(FAMILIES[name], report).theta) for report in (years, months)]
    assert curves[0].cumulative_hazard(np.array([1.0, 7.0])) == pytest.approx(
        curves[1].cumulative_hazard(np.array([12.0, 84.0])), rel=1e-5
    )


def test_a_spline_that_would_rise_is_held_back():
    """80%, 50%, 49.9%, 10%: the spline through these points has a hazard below 0 in between."""
    time, survival = np.array([1.0, 2.0, 6.0, 7.0]), np.array([0.8, 0.5, 0.499, 0.1])
    family = royston_parmar(np.log(time))
    found = fit(family, followed(survival, 100, time=time))
    curve = family.curve(found.theta)
    at = np.linspace(0.01, 20, 4001)
    assert (np.diff(curve.cumulative_hazard(at)) > 0).all()
    assert saturated(followed(survival, 100, time=time)) - found.log_likelihood > 0.1


@pytest.mark.parametrize("survival", [[1.0, 0.8, 0.6], [0.6, 0.4, 0.4], [0.94, 0.94, 0.79], [0.5, 0.2, 0.0]])
@pytest.mark.parametrize("half", [0.0, 0.005])
def test_boundaries_and_flat_stretches(survival, half):
    report = followed(survival, 40, half=half)
    best = saturated(report)
    assert np.isfinite(best)
    for name in ("exponential", "weibull", "lognormal", "loglogistic", "gamma", "gompertz"):
        found = fit(FAMILIES[name], report)
        assert found.log_likelihood <= best + 1e-9
        s = np.exp(-FAMILIES[name].curve(found.theta).cumulative_hazard(TIME))
        assert (np.diff(s) <= 0).all()
        assert np.abs(s - survival).max() < 0.25


# --- effective numbers ------------------------------------------------------------------------------------


def test_effective_numbers_give_the_standard_errors_back():
    at_risk = np.array([75.0, 52.0, 18.0])
    se = np.sqrt(reported_variance(SURVIVAL, 100.0, at_risk).variance)
    n = effective_numbers(SURVIVAL, se, 100.0, at_risk, maturity=0.5)
    p = SURVIVAL / np.concatenate([[1.0], SURVIVAL[:-1]])
    assert SURVIVAL * np.sqrt(np.cumsum((1 - p) / (p * n))) == pytest.approx(se, rel=1e-12)
    assert (n <= [100, 75, 52]).all()
    imputed = np.sqrt(reported_variance(SURVIVAL, 100.0, np.full(3, np.nan)).variance)
    n = effective_numbers(SURVIVAL, imputed, 100.0, np.full(3, np.nan), maturity=0.5)
    assert n == pytest.approx(100 * np.sqrt(0.5) * np.array([1, 0.83, 0.705]), rel=1e-12)


def test_effective_numbers_where_there_is_no_standard_error():
    nothing = np.full(3, np.nan)
    flat = effective_numbers(
        np.array([1.0, 0.8, 0.8]), nothing, 50.0, np.array([40.0, 30.0, 20.0]), maturity=0.5
    )
    expected = [
        50 * 40 * np.log(50 / 40) / 10,
        40 * 30 * np.log(40 / 30) / 10,
        30 * 20 * np.log(30 / 20) / 10,
    ]
    assert flat == pytest.approx(expected, rel=1e-12)
    assert np.isnan(effective_numbers(SURVIVAL, nothing, np.nan, nothing, maturity=0.5)).all()
    only_first = effective_numbers(SURVIVAL, np.array([0.04, np.nan, np.nan]), np.nan, nothing, maturity=0.5)
    assert only_first == pytest.approx(0.83 * 0.17 / 0.04**2 * np.array([1, 0.83, 0.705]), rel=1e-12)
