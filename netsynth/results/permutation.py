"""The permutation test of a meta-regression, for few studies, where other tests lean on approximations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final, cast

import numpy as np
import numpy.typing as npt

from netsynth import _format, _parallel, _validate
from netsynth._typing import JSON, FloatArray, IntArray
from netsynth.errors import Caution, ConvergenceError, FewStudiesWarning, InvalidInputError, caution
from netsynth.kernels import permutation
from netsynth.kernels.intervals import CiMethod
from netsynth.kernels.tau2 import TAU2_ESTIMATORS, Tau2Method

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PermutationTest", "permute"]

#: Statistics that differ by less are equal but for rounding, so that a permutation counts that changes nothing.
_TIE: Final = 1e-8
#: Permutations in one call of the kernel.
_CHUNK: Final = 1000
_USER: Final = 4  # frames from `caution` up to the caller of `permutation_test`


@dataclass(frozen=True, slots=True, eq=False)
class PermutationTest:
    """P-values of a meta-regression from dealing out the moderators anew among the studies.

    Attributes
    ----------
    names : tuple of str
        The coefficients.
    statistic : ndarray, shape (p,)
        Their observed statistics.
    pvalue : ndarray, shape (p,)
        Share of permutations whose statistic is as far from zero. That of the intercept says how unusual it is
        among permutations, not whether the mean is zero.
    pvalue_error : ndarray, shape (p,)
        Monte Carlo standard error of `pvalue`; zero when the test is exact.
    moderators_statistic, moderators_pvalue, moderators_pvalue_error : float
        The same of the test of all moderators.
    n_permutations : int
        How many were made.
    exact : bool
        Whether they were all there are.
    k : int
        Number of studies.
    tau2_method, ci_method : str
        Of the regression.
    warnings : tuple of Caution
        What to keep in mind.
    """

    names: tuple[str, ...]
    statistic: FloatArray
    pvalue: FloatArray
    pvalue_error: FloatArray
    moderators_statistic: float
    moderators_pvalue: float
    moderators_pvalue_error: float
    n_permutations: int
    exact: bool
    k: int
    tau2_method: str
    ci_method: CiMethod
    warnings: tuple[Caution, ...] = ()

    def summary_frame(self) -> pd.DataFrame:
        """One unrounded row a coefficient, and one for all moderators."""
        import pandas as pd

        columns = {
            "statistic": [*self.statistic, self.moderators_statistic],
            "pvalue": [*self.pvalue, self.moderators_pvalue],
            "pvalue_error": [*self.pvalue_error, self.moderators_pvalue_error],
        }
        return pd.DataFrame(columns, index=pd.Index([*self.names, "all moderators"], name="coefficient"))

    def to_dict(self) -> JSON:
        """Plain types for JSON."""
        frame = self.summary_frame().reset_index()
        return {
            "n_permutations": self.n_permutations,
            "exact": self.exact,
            "k": self.k,
            "tau2_method": self.tau2_method,
            "ci_method": self.ci_method,
            "tests": [
                {str(name): _format.plain(value) for name, value in row.items()}
                for row in frame.to_dict("records")
            ],
            "warnings": [str(caution) for caution in self.warnings],
        }

    def _title(self) -> str:
        kind = "all" if self.exact else "random"
        return (
            f"Permutation test, tau2 by {self.tau2_method}, statistics by {self.ci_method}, k = {self.k}, "
            f"{self.n_permutations} permutations ({kind})"
        )

    def _rows(self) -> list[tuple[str, str, str, str]]:
        frame = self.summary_frame()
        return [
            (
                str(name),
                _format.number(row["statistic"], 2),
                _format.pvalue(row["pvalue"]).removeprefix("p = ").removeprefix("p "),
                "" if self.exact else _format.significant(row["pvalue_error"], 1),
            )
            for name, row in zip(frame.index, frame.to_dict("records"), strict=True)
        ]

    def __str__(self) -> str:
        table = _format.text_table(("", "statistic", "p", "error of p"), self._rows())
        cautions = (f"  {caution}" for caution in self.warnings)
        return "\n".join([self._title(), *(f"  {line}" for line in table.splitlines()), *cautions])

    def _repr_html_(self) -> str:
        header = ("coefficient", "statistic", "p", "Monte Carlo error of p")
        return _format.html_table(header, self._rows(), caption=self._title())


def permute(
    names: tuple[str, ...],
    estimate: FloatArray,
    variance: FloatArray,
    design: FloatArray,
    tested: IntArray,
    tau2_method: str,
    ci_method: CiMethod,
    n_permutations: int,
    rng: np.random.Generator | int | None,
) -> PermutationTest:
    """Run the permutation test; see `MetaRegression.permutation_test`."""
    n_permutations = _validate.count(n_permutations, "n_permutations", minimum=1)
    if tau2_method not in TAU2_ESTIMATORS:
        raise InvalidInputError(
            f"A permutation test estimates tau2 anew each time, by one of {', '.join(TAU2_ESTIMATORS)}; "
            f"this regression used {tau2_method!r}."
        )
    if not tested.size:
        raise InvalidInputError("A permutation test needs a moderator; this regression has none.")
    k, n_all = len(design), permutation.n_arrangements(design)
    exact = n_all <= n_permutations
    run = partial(
        permutation.statistics,
        estimate=estimate,
        variance=variance,
        design=design,
        tested=tested,
        tau2_method=cast(Tau2Method, tau2_method),
        ci_method=ci_method,
    )
    observed = run(np.arange(k)[None])
    statistic, overall = observed.coefficient[0], float(observed.moderators[0])
    orders = _all_orders(design) if exact else _random_orders(k, n_permutations, rng)
    done = _parallel.map_chunks(run, orders, description="Permutations")
    arrived = np.concatenate([part.converged for part in done])
    if not arrived.all():
        failed = int((~arrived).sum())
        raise ConvergenceError(
            f"tau2 by {tau2_method} did not converge in {failed} of {arrived.size} permutations.", last=np.nan
        )
    coefficient = np.concatenate([part.coefficient for part in done])
    moderators = np.concatenate([part.moderators for part in done])
    far = (np.abs(coefficient) >= np.abs(statistic) * (1.0 - _TIE)).sum(axis=0)
    large = int((moderators >= overall * (1.0 - _TIE)).sum())
    pvalue, error = _pvalue(np.append(far, large), len(moderators), exact)
    said: tuple[Caution, ...] = ()
    if n_all < 20:
        message = f"Only {n_all} permutations exist, so no p-value can be below {1 / n_all:.2g}."
        said = (caution(FewStudiesWarning, message, stacklevel=_USER),)
    for array in (statistic, pvalue, error):
        array.setflags(write=False)
    return PermutationTest(
        names=names,
        statistic=statistic,
        pvalue=pvalue[:-1],
        pvalue_error=error[:-1],
        moderators_statistic=overall,
        moderators_pvalue=float(pvalue[-1]),
        moderators_pvalue_error=float(error[-1]),
        n_permutations=len(moderators),
        exact=exact,
        k=k,
        tau2_method=tau2_method,
        ci_method=ci_method,
        warnings=said,
    )


def _all_orders(design: FloatArray) -> list[IntArray]:
    every, chunks = permutation.arrangements(design), list[IntArray]()
    while chunk := list(islice(every, _CHUNK)):
        chunks.append(np.array(chunk, dtype=np.int64))
    return chunks


def _random_orders(k: int, n: int, rng: np.random.Generator | int | None) -> list[IntArray]:
    orders = np.random.default_rng(rng).permuted(np.tile(np.arange(k), (n, 1)), axis=1)
    return np.array_split(orders, -(-n // _CHUNK))


def _pvalue(count: npt.NDArray[np.int64], n: int, exact: bool) -> tuple[FloatArray, FloatArray]:
    """Share of permutations and its Monte Carlo error; a random test counts the data as one more."""
    share = np.asarray(count / n if exact else (count + 1.0) / (n + 1.0), dtype=np.float64)
    if exact:
        return share, np.zeros_like(share)
    return share, np.sqrt(share * (1.0 - share) / n)
