"""What studies say of prognostic factors, put together: counts, pooled hazard ratios, words."""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from netsynth import _format, _validate
from netsynth.data.harmonise import HarmonisedResult
from netsynth.data.selection import Exclusion
from netsynth.errors import Caution, InvalidInputError
from netsynth.results.certainty import FactorCertainty
from netsynth.results.evidence import ANY_ENDPOINT, INFERRED, STRATA, FactorRow, HazardRatios, Stratum
from netsynth.results.factor_words import factor_sentence, plain
from netsynth.results.pooled import PooledEffect

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["FactorSummary", "MappedName"]

_DISCLAIMER: Final = (
    "Counting directions says nothing about the size of an effect.",
    "Counts of significant results depend on the size of the studies and are no evidence of an effect.",
)


@dataclass(frozen=True, slots=True)
class MappedName:
    """Where the results under one printed name and pair of levels went.

    `harmonised.mapped` is False for a name that no rule fits and that was kept.
    """

    printed_factor: str
    printed_adverse: str
    printed_reference: str
    harmonised: HarmonisedResult
    n_results: int

    def __str__(self) -> str:
        printed = " vs ".join(level for level in (self.printed_adverse, self.printed_reference) if level)
        target = self.harmonised
        words = " vs ".join(level for level in (target.adverse, target.reference) if level)
        there = f"{target.factor}: {words}" if words else target.factor
        note = {"as printed": "", "inverted": " (inverted)"}.get(
            target.orientation, f" (levels {target.orientation})"
        )
        kept = "" if target.mapped else " (name kept)"
        return f"{self.printed_factor}{f': {printed}' if printed else ''} [{self.n_results}] -> {there}{note}{kept}"


@dataclass(frozen=True, slots=True)
class FactorSummary:
    """Prognostic factors of a review, as made by `netsynth.summarize_factors`.

    Attributes
    ----------
    title : str
        Of the review.
    rows : tuple of FactorRow
        For each factor a row for any endpoint, then one an endpoint; factors of most studies first.
    mapping : tuple of MappedName
        Where every printed name and level went.
    excluded : tuple of Exclusion
        Results that were left out before counting, with the reason.
    rule : str
        How one result a study was chosen.
    warnings : tuple of Caution
        What to keep in mind.
    """

    title: str
    rows: tuple[FactorRow, ...]
    mapping: tuple[MappedName, ...]
    excluded: tuple[Exclusion, ...]
    rule: str
    warnings: tuple[Caution, ...] = ()

    @property
    def factors(self) -> tuple[str, ...]:
        """Harmonised names, factors of most studies first."""
        return tuple(row.factor for row in self.rows if row.endpoint == ANY_ENDPOINT)

    @property
    def unmapped(self) -> tuple[MappedName, ...]:
        """Names that no rule fits."""
        return tuple(name for name in self.mapping if not name.harmonised.mapped)

    def row(self, factor: str, endpoint: str = ANY_ENDPOINT) -> FactorRow:
        """The row of a factor and an endpoint, by default the one for any endpoint.

        Raises
        ------
        KeyError
            If the summary has no such row.
        """
        for row in self.rows:
            if (row.factor, row.endpoint) == (factor, str(endpoint)):
                return row
        own = [row.endpoint for row in self.rows if row.factor == factor]
        known = (
            f"endpoints of {factor} are {', '.join(own)}" if own else f"factors are {', '.join(self.factors)}"
        )
        raise KeyError(f"no row for {factor!r}, {endpoint!r}; {known}")

    def pooled(self, factor: str, endpoint: str, stratum: Stratum = "adjusted") -> PooledEffect:
        """The pooled hazard ratio of a factor, for `leave_one_out`, `influence` and all else that takes one.

        Raises
        ------
        KeyError
            If the summary has no such factor and endpoint.
        InvalidInputError
            If fewer than two studies have a usable ratio of this kind, or its kind of analysis is not stated.
        """
        ratios = self.row(factor, endpoint).ratios(stratum)
        if ratios.pooled is None:
            number = _format.plural(ratios.k, "study", "studies")
            what = f"{factor}, {endpoint}, {stratum}: {number} with a usable ratio"
            why = (
                "kinds of analysis that are not stated are not pooled"
                if ratios.k > 1
                else "two are needed to pool"
            )
            raise InvalidInputError(f"{what}; {why}.")
        return ratios.pooled

    def evidence_frame(self) -> pd.DataFrame:
        """One row a result, counted or not, by factor and endpoint; ratios on the log scale, unrounded."""
        import pandas as pd

        results = [r for row in self.rows if row.endpoint != ANY_ENDPOINT for r in row.results]
        frame = pd.DataFrame([result.as_row() for result in results])
        return frame.astype({"n_patients": "Int64", "n_events": "Int64"}) if results else frame

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row a factor and endpoint; ratios on the log scale, intervals at `level`."""
        import pandas as pd

        return pd.DataFrame([_row_record(row, level) for row in self.rows])

    def pooled_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row a factor, endpoint and kind of analysis with a usable ratio; ratios on the printed scale.

        One study stands with its ratio as printed in `printed`, which is empty where it is computed, and with its
        limits as printed, or of Wald where none are printed at `level`. `k_without` are studies of the factor without a
        usable ratio of the kind, `k_not_significant` those of them that were not significant.
        `scale` is the step of a continuous factor that the ratios speak of, and `k_other_scale` counts studies whose
        ratio speaks of another comparison. `different_cut_points` says where the studies split the factor, if not all
        alike, and `k_cut_point_chosen` counts the used ratios whose cut-point was chosen by the outcome.
        """
        import pandas as pd

        return pd.DataFrame(
            [
                _pooled_record(row, ratios, _validate.level(level))
                for row in self.rows
                for ratios in row.hazard_ratios
                if ratios.k and ratios.stratum != "not stated"
            ]
        )

    def mapping_frame(self) -> pd.DataFrame:
        """One row a printed name and pair of levels, with the harmonised words."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "printed_factor": name.printed_factor,
                    "printed_adverse": name.printed_adverse,
                    "printed_reference": name.printed_reference,
                    "factor": name.harmonised.factor,
                    "adverse_level": name.harmonised.adverse,
                    "reference_level": name.harmonised.reference,
                    "orientation": name.harmonised.orientation,
                    "mapped": name.harmonised.mapped,
                    "n_results": name.n_results,
                }
                for name in self.mapping
            ]
        )

    def narrative(self, certainty: Iterable[FactorCertainty] = ()) -> str:
        """One line a factor as a reviewer writes it; every number stands in `summary_frame` or `pooled_frame`.

        Parameters
        ----------
        certainty : iterable of FactorCertainty
            Worksheets of `netsynth.grade_factor`, whose certainty is told with their factor.
        """
        told = list(certainty)
        lines = []
        for factor in self.factors:
            overall, *by_endpoint = (row for row in self.rows if row.factor == factor)
            graded = [sheet.clause for sheet in told if sheet.factor == factor]
            lines.append(factor_sentence(overall, by_endpoint, graded))
        return "\n".join(lines)

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Effect-direction plot: studies by factors; needs matplotlib."""
        from netsynth.plots.factors import factor_plot

        return factor_plot(self, ax=ax)

    def __str__(self) -> str:
        n_results = sum(len(row.results) for row in self.rows if row.endpoint != ANY_ENDPOINT)
        studies = {r.study for row in self.rows for r in row.results}
        head = (
            f"{self.title or 'Prognostic factors'}: {_format.plural(len(self.factors), 'factor')}, "
            f"{_format.plural(n_results, 'result')} of {_format.plural(len(studies), 'study', 'studies')}; "
            "directions counted, exact sign test"
        )
        inferred = {
            (r.study, r.factor) for row in self.rows for r in row.counted if r.voted_basis == INFERRED
        }
        lines = [head]
        lines += [f"  {line}" for line in _format.text_table(_HEADER, self._table()).splitlines()]
        lines += [f"  {sentence}" for sentence in _DISCLAIMER]
        if inferred:
            said = (
                f"{_format.plural(len(inferred), 'direction')} inferred from the level that a significant result names "
                "as adverse. Results that are not significant show none, so inferred directions are in no test; the "
                "bounds run over what they and the unknown ones may be."
            )
            lines += textwrap.wrap(said, 108, initial_indent="  ", subsequent_indent="  ")
        lines += textwrap.wrap(self.rule, 108, initial_indent="  ", subsequent_indent="  ")
        if self.excluded:
            kinds = Counter(exclusion.kind for exclusion in self.excluded)
            lines.append(
                f"  Left out before counting: {', '.join(f'{kind} ({n})' for kind, n in kinds.items())}."
            )
        return "\n".join(lines + [f"  {caution}" for caution in self.warnings])

    def _table(self) -> list[tuple[str, ...]]:
        """Rows for people: the one for any endpoint only where a factor has several, the name only once."""
        n_rows = Counter(row.factor for row in self.rows)
        shown = [row for row in self.rows if row.endpoint != ANY_ENDPOINT or n_rows[row.factor] > 2]
        named = {row.factor: row for row in reversed(shown)}
        return [(row.factor if named[row.factor] is row else "", *_cells(row)) for row in shown]

    def _repr_html_(self) -> str:
        return _format.html_table(_HEADER, self._table(), caption=" ".join(_DISCLAIMER))


_HEADER: Final = (
    "factor",
    "endpoint",
    "k",
    "patients",
    "worse",
    "better",
    "none",
    "not stated",
    "sign test p",
    "bounds of p",
    "significant",
    "hazard ratio",
)


def _cells(row: FactorRow) -> tuple[str, ...]:
    count, said = row.directions, row.significance
    return (
        plain(row.endpoint),
        str(row.k),
        str(row.n_patients or ""),
        str(count.n_worse),
        str(count.n_better or ""),
        str(count.n_none or ""),
        str(count.n_not_stated or ""),
        count.shown_pvalue,
        count.shown_bounds,
        f"{said['yes']} of {said['yes'] + said['no']}",
        "; ".join(ratios.words() for ratios in row.hazard_ratios if ratios.k),
    )


def _pooled_record(row: FactorRow, ratios: HazardRatios, level: float) -> dict[str, object]:
    without, pooled = row.without_ratio(ratios.stratum), ratios.pooled
    events = ratios.n_events
    record: dict[str, object] = {
        "factor": row.factor,
        "endpoint": row.endpoint,
        "stratum": ratios.stratum,
        "k": ratios.k,
        "n_patients": ratios.n_patients,
        "n_events": math.nan if events is None else events,
        "printed": "" if ratios.k > 1 or ratios.used[0].is_derived else ratios.used[0].ratio,
        "k_without": len(without),
        "k_not_significant": sum(result.is_not_significant for result in without),
        "scale": ratios.scale,
        "k_other_scale": len({out.study for out in ratios.on_other_scale}),
        "different_cut_points": ratios.cut_points,
        "k_cut_point_chosen": sum(result.is_cut_point_chosen for result in ratios.used),
    }
    if pooled is None:
        only = ratios.used[0]
        numbers = (only.log_hr, *only.limits(level), *[math.nan] * 2)
        rest = [math.nan] * 6
    else:
        ci, ahead = pooled.confidence_interval(level), pooled.prediction_interval(level)
        numbers = (pooled.estimate, *ci, *ahead)
        rest = [pooled.probability_above(), pooled.pvalue, pooled.tau2, pooled.i2, pooled.q, pooled.q_pvalue]
    shown = dict(
        zip(
            ("hazard_ratio", "ci_lower", "ci_upper", "pi_lower", "pi_upper"),
            map(math.exp, numbers),
            strict=True,
        )
    )
    names = ("probability_harm", "pvalue", "tau2", "i2", "q", "q_pvalue")
    return record | shown | dict(zip(names, rest, strict=True))


def _row_record(row: FactorRow, level: float) -> dict[str, object]:
    count, said = row.directions, row.significance
    ci, share, p = count.confidence_interval(level), count.proportion_bounds, count.pvalue_bounds
    record: dict[str, object] = {
        "factor": row.factor,
        "endpoint": row.endpoint,
        "adverse_level": row.adverse_level,
        "reference_level": row.reference_level,
        "printed_levels": "; ".join(f"{levels} ({n})" for levels, n in row.printed_levels.items()),
        "k": row.k,
        "n_patients": row.n_patients,
        "n_overlapping": row.n_overlapping,
        "n_worse": count.n_worse,
        "n_better": count.n_better,
        "n_none": count.n_none,
        "n_direction_not_stated": count.n_not_stated,
        "n_direction_inferred": count.n_inferred,
        "n_stated": count.n_stated,
        "n_stated_worse": count.n_stated_worse,
        "n_inferred_worse": count.n_inferred_worse,
        "n_direction_from_another_result": sum(bool(result.direction_from) for result in row.counted),
        "proportion_worse": count.proportion,
        "ci_lower": ci.lower,
        "ci_upper": ci.upper,
        "sign_pvalue": count.pvalue,
        "proportion_lowest": share.lower,
        "proportion_highest": share.upper,
        "sign_pvalue_smallest": p.lower,
        "sign_pvalue_largest": p.upper,
        "n_significant": said["yes"],
        "n_not_significant": said["no"],
        "n_not_tested": said["not tested"],
        "n_significance_not_stated": said["not stated"],
    }
    for stratum in STRATA:
        ratios, name = row.ratios(stratum), stratum.replace(" ", "_")
        record[f"{name}_k"] = ratios.k
        if stratum != "not stated":
            pooled = ratios.pooled
            limits = (math.nan, math.nan) if pooled is None else pooled.confidence_interval(level)
            record[f"{name}_log_hr"] = math.nan if pooled is None else pooled.estimate
            record[f"{name}_se"] = math.nan if pooled is None else pooled.se
            record[f"{name}_ci_lower"], record[f"{name}_ci_upper"] = limits
            record[f"{name}_tau2"] = math.nan if pooled is None else pooled.tau2
    return record
