"""Methods from five numbers to mean and standard deviation by name, and errors that know them for estimates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np

from netsynth._typing import FloatArray
from netsynth.kernels.box_cox import bc_law, mln_law
from netsynth.kernels.five_numbers import bland_sd, hozo_sd, luo_mean, scenario, shi_sd, simple_mean, wan_sd
from netsynth.kernels.laws import NORMAL, Law, law, law_moments, law_quantile
from netsynth.kernels.quantile_fits import COARSE, DEFAULT_FAMILIES, FINE, QuantileFamily, fit_quantiles

MeanMethod = Literal["Hozo", "Bland", "Wan", "Luo", "QE", "BC", "MLN"]
#: From summaries (..., 5), numbers of patients, families and steps of a search to laws.
Converter: TypeAlias = Callable[[FloatArray, FloatArray, Sequence[QuantileFamily], int], Law]


#: Of the draws the middle 95%, as wide as that many standard errors of a normal law: the standard deviation of all may
#: be infinite, when a heavy-tailed law was read from few patients.
_MIDDLE: Final = (0.025, 0.975)
_WIDTH: Final = 2.0 * 1.959963984540054


class BootstrapError(NamedTuple):
    """Standard errors of an estimated mean and standard deviation, and the share of draws that gave an answer."""

    mean_se: FloatArray
    sd_se: FloatArray
    share: FloatArray


#: Mean and standard deviation of Hozo (extremes alone) and of Bland (five values alone), of Wan, and the optimal ones
#: of Luo, Wan and Shi, all read as those of a normal law; and the three that fit other laws.
MEAN_METHODS: Final[Mapping[MeanMethod, Converter]] = MappingProxyType(
    {
        "Hozo": lambda x, n, _, __: law(
            NORMAL, np.where(scenario(x) == 1, simple_mean(x), np.nan), hozo_sd(x, n)
        ),
        "Bland": lambda x, _, __, ___: law(
            NORMAL, np.where(scenario(x) == 3, simple_mean(x), np.nan), bland_sd(x)
        ),
        "Wan": lambda x, n, _, __: law(NORMAL, simple_mean(x), wan_sd(x, n)),
        "Luo": lambda x, n, _, __: law(NORMAL, luo_mean(x, n), shi_sd(x, n)),
        "QE": lambda x, n, families, n_steps: fit_quantiles(x, n, families, n_steps).law,
        "BC": lambda x, n, _, n_steps: bc_law(x, n, n_steps),
        "MLN": lambda x, n, _, n_steps: mln_law(x, n, n_steps),
    }
)
#: Methods that take the values for normal.
ASSUME_NORMAL: Final[frozenset[str]] = frozenset({"Hozo", "Bland", "Wan", "Luo"})


def convert(
    method: MeanMethod,
    values: FloatArray,
    n: FloatArray,
    families: Sequence[QuantileFamily] = DEFAULT_FAMILIES,
    n_steps: int = FINE,
) -> Law:
    """Laws that a method reads from five-number summaries, nan where it has no answer.

    Parameters
    ----------
    method : str
        A key of `MEAN_METHODS`.
    values : ndarray, shape (..., 5)
    n : ndarray, shape (...) or ()
    families : sequence of str
        Candidates of "QE".
    n_steps : int
        Of the searches of "QE", "BC" and "MLN".

    Examples
    --------
    >>> found = convert("Luo", np.array([1.0, np.nan, 4.0, np.nan, 10.0]), np.array(30.0))
    >>> found.first.round(6).item(), found.second.round(6).item()
    (4.356748, 2.205578)
    """
    whole = np.where((scenario(values) > 0)[..., None], values, np.nan)
    return MEAN_METHODS[method](whole, np.asarray(n, dtype=np.float64), families, n_steps)


def draw_summaries(laws: Law, n: int, rng: np.random.Generator, n_draws: int) -> FloatArray:
    r"""Five-number summaries of samples of n patients, without drawing the patients.

    Uniform order statistics are ratios of gamma variables: the distance between ranks r < s is a gamma variable of
    shape s - r over the sum of all. Quartiles are of type 7.

    Parameters
    ----------
    laws : Law
        One law, fields of shape ().
    n : int
        Patients, at least 2.
    rng : numpy.random.Generator
    n_draws : int

    Returns
    -------
    ndarray, shape (n_draws, 5)
    """
    position = (n - 1) * np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    below = np.minimum(np.floor(position), n - 1)
    share = position - below
    ranks = np.stack([below, np.minimum(below + 1, n - 1)], axis=-1).ravel() + 1
    order = np.argsort(ranks, kind="stable")  # with few patients the neighbours of two quartiles overlap
    parts = rng.standard_gamma(np.diff([0.0, *ranks[order], n + 1.0]), (n_draws, ranks.size + 1))
    uniform = np.empty((n_draws, ranks.size))
    uniform[:, order] = np.cumsum(parts, axis=-1)[:, :-1] / parts.sum(-1, keepdims=True)
    parameters = (np.broadcast_to(part, (n_draws,)) for part in laws[1:])
    x = law_quantile(Law(np.broadcast_to(laws.family, (n_draws,)), *parameters), uniform)
    low, high = x[:, 0::2], x[:, 1::2]
    return np.asarray(low + share * (high - low))


def bootstrap_error(
    method: MeanMethod,
    values: FloatArray,
    n: int,
    rng: np.random.Generator,
    n_draws: int = 1000,
    families: Sequence[QuantileFamily] = DEFAULT_FAMILIES,
) -> BootstrapError:
    """Standard errors of one study's estimated mean and standard deviation by the parametric bootstrap.

    Samples of n patients are drawn from the law that the method found, summarised as the study was, and converted
    again; what they scatter by is sampling error together with what the summary loses [1]_. The standard error is
    that of a normal law whose middle 95% are as wide as those of the draws.

    Parameters
    ----------
    method : str
        A key of `MEAN_METHODS`.
    values : ndarray, shape (5,)
    n : int
    rng : numpy.random.Generator
    n_draws : int
    families : sequence of str

    Returns
    -------
    BootstrapError
        nan where the method has no answer, or none in at least half of the draws.

    References
    ----------
    .. [1] McGrath S, Katzenschlager S, Zimmer AJ, Seitel A, Steele R, Benedetti A (2023). Standard error estimation in
       meta-analysis of studies reporting medians. Stat Methods Med Res 32:373-388.
       https://doi.org/10.1177/09622802221139233
    """
    found = convert(method, values, np.asarray(float(n)), families)
    if not np.isfinite(found.first):
        return BootstrapError(*(np.asarray(np.nan) for _ in range(3)))
    drawn = np.where(np.isnan(values), np.nan, draw_summaries(found, n, rng, n_draws))
    mean, sd = law_moments(convert(method, drawn, np.asarray(float(n)), families, COARSE))
    usable = np.isfinite(mean) & np.isfinite(sd)
    share = usable.mean()
    if share < 0.5:
        return BootstrapError(np.asarray(np.nan), np.asarray(np.nan), np.asarray(share))
    middle = [np.diff(np.quantile(part[usable], _MIDDLE))[0] / _WIDTH for part in (mean, sd)]
    return BootstrapError(np.asarray(middle[0]), np.asarray(middle[1]), np.asarray(share))
