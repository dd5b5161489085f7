"""A synthesis without meta-analysis by its nine items: what the analysis knows, and what the author has to write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeAlias

from netsynth import _format
from netsynth.errors import InvalidInputError
from netsynth.kernels.pvalue_combination import COMBINATIONS
from netsynth.results.directions import DirectionCount
from netsynth.results.evidence import ANY_ENDPOINT, INFERRED, DirectionBasis, FactorEvidence, FactorRow
from netsynth.results.pooled import PooledEffect
from netsynth.results.prognostic import FactorSummary
from netsynth.results.pvalues import CombinedPValue
from netsynth.results.ratios import RatioSpread
from netsynth.results.swim import SwimItem, SwimReport, SwimSource
from netsynth.results.votes import VoteCount

__all__ = ["swim_report"]

Analysis: TypeAlias = FactorSummary | VoteCount | CombinedPValue | RatioSpread

#: Number, name, and what each item asks, in our words.
ITEMS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "1a": ("grouping", "Which studies were put together for each synthesis, and why these?"),
        "1b": ("changes of grouping", "What was changed after the protocol, and why?"),
        "2": ("metric", "In which common metric were results expressed, and how were they brought to it?"),
        "3": ("synthesis", "How were the results put together, and why could effects not be pooled?"),
        "4": (
            "priority",
            "Which results or studies were given more weight in summary and conclusion, and by what rule?",
        ),
        "5": ("heterogeneity", "How was it looked at why results differ?"),
        "6": ("certainty", "How was the certainty of the findings judged?"),
        "7": ("presentation", "In which tables and figures are the data shown, and in what order?"),
        "8": ("results", "What was found for each comparison and outcome, and how sure is it?"),
        "9": ("limitations", "What do the methods and the grouping leave open?"),
    }
)
#: What a direction was read from, in the order of preference.
_BASES: Final[Mapping[DirectionBasis, str]] = MappingProxyType(
    {
        "hazard ratio": "the hazard ratio",
        "stated": "the source's words",
        INFERRED: "the level that a significant result names as adverse",
    }
)
_INTERVALS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "wald": "Wald",
        "t": "Student's t",
        "HK": "Knapp-Hartung",
        "mHK": "modified Knapp-Hartung",
        "KR": "Kenward-Roger",
    }
)


def swim_report(
    *analyses: Analysis,
    title: str = "",
    grouping: str = "",
    changes: str = "",
    no_pooling: str = "",
    priority: str = "",
    heterogeneity: str = "",
    certainty: str = "",
    presentation: str = "",
    limitations: str = "",
) -> SwimReport:
    """Report a synthesis without meta-analysis by the nine items of SWiM [1]_.

    Items 1 to 3, 5, 7 and 8 are filled from what the analyses did; 4, 6 and 9, the reasons for the grouping and its
    changes are the author's. What is not given is shown as still to be written, and nothing is made up in its place.

    Parameters
    ----------
    *analyses : FactorSummary, VoteCount, CombinedPValue or RatioSpread
        From `summarize_factors`, `count_votes`, `combine_pvalues` and `describe_ratios`.
    title : str, optional
        Of the synthesis; by default that of the review.
    grouping, changes : str
        Why studies were grouped so, and what was changed after the protocol (items 1a and 1b).
    no_pooling : str
        Why effects were not pooled, added to item 3.
    priority, certainty, limitations : str
        Items 4, 6 and 9.
    heterogeneity, presentation : str
        What the author adds to items 5 and 7.

    Returns
    -------
    SwimReport
        Frozen; `missing` are the items still to be written.

    Raises
    ------
    InvalidInputError
        If there is no analysis, or one of another kind.

    References
    ----------
    .. [1] Campbell M, McKenzie JE, Sowden A, et al (2020). Synthesis without meta-analysis (SWiM) in systematic
       reviews: reporting guideline. BMJ 368:l6890. https://doi.org/10.1136/bmj.l6890

    Examples
    --------
    >>> from netsynth.datasets import load_nethm
    >>> from netsynth.prognostic import summarize_factors
    >>> report = swim_report(summarize_factors(load_nethm()), certainty="GRADE for prognostic factors.")
    >>> print(report.verdict)
    Not complete: 1b (changes of grouping), 4 (priority) and 9 (limitations) to be written.
    """
    if not analyses:
        raise InvalidInputError(
            "swim_report needs at least one analysis, such as the result of summarize_factors."
        )
    for analysis in analyses:
        if not isinstance(analysis, FactorSummary | VoteCount | CombinedPValue | RatioSpread):
            raise InvalidInputError(
                "swim_report takes results of summarize_factors, count_votes, combine_pvalues and describe_ratios; got "
                f"{type(analysis).__name__}."
            )
    written = {
        "1a": (_grouping(analyses), grouping),
        "1b": ([], changes),
        "2": (_metric(analyses), ""),
        "3": (_synthesis(analyses), no_pooling),
        "4": ([], priority),
        "5": (_heterogeneity(analyses), heterogeneity),
        "6": ([], certainty),
        "7": (_presentation(analyses), presentation),
        "8": (_results(analyses), ""),
        "9": ([], limitations),
    }
    hints = {"9": tuple(_doubts(analyses)), "4": tuple(_rules(analyses))}
    items = []
    for number, (found, added) in written.items():
        name, asks = ITEMS[number]
        text = "\n".join([*found, *([added.strip()] if added.strip() else [])])
        source: SwimSource = "to be written"
        if text:
            source = "analysis and author" if found and added.strip() else "analysis" if found else "author"
        items.append(SwimItem(number, name, asks, text, source, hints.get(number, ())))
    own = next((analysis.title for analysis in analyses if isinstance(analysis, FactorSummary)), "")
    return SwimReport(title or own or "Synthesis", tuple(items))


def _grouping(analyses: Sequence[Analysis]) -> list[str]:
    said = []
    for each in analyses:
        if isinstance(each, FactorSummary):
            endpoints = dict.fromkeys(row.endpoint for row in each.rows if row.endpoint != ANY_ENDPOINT)
            studies = {result.study for row in each.rows for result in row.results}
            names = _format.plural(
                len(each.mapping), "printed name and pair of levels", "printed names and pairs of levels"
            )
            said.append(
                f"Results of {_format.plural(len(studies), 'study', 'studies')} were grouped by prognostic factor "
                f"({len(each.factors)}) and endpoint ({', '.join(_plain(code) for code in endpoints)}). "
                f"{names} became {_format.plural(len(each.factors), 'factor')} by a mapping that is listed; "
                f"{len(each.unmapped)} kept their own name."
            )
        elif isinstance(each, VoteCount):
            said.append(
                f"Directions: {each.factor}, {_plain(each.endpoint)} ({_studies(len(each.studies))})."
            )
        elif isinstance(each, CombinedPValue):
            said.append(f"P-values: {_plain(each.label) or 'not named'} ({_studies(each.k)}).")
        else:
            said.append(f"Hazard ratios: {each.factor}, {_plain(each.endpoint)} ({_studies(each.k)}).")
    return said


def _metric(analyses: Sequence[Analysis]) -> list[str]:
    said = []
    for each in analyses:
        if isinstance(each, FactorSummary):
            said += _summary_metric(each)
        elif isinstance(each, VoteCount):
            said.append(f"Directions, {each.factor}, {_plain(each.endpoint)}: {_told(each.chosen)}.")
        elif isinstance(each, CombinedPValue):
            basis = ", ".join(f"{words} ({n})" for words, n in Counter(each.basis).items())
            said.append(
                f"P-values made one-sided in a common direction, {_plain(each.label) or 'not named'}: {basis}."
            )
        else:
            said.append(f"Log hazard ratio as printed, {each.factor}, {_plain(each.endpoint)}.")
    return said


def _summary_metric(summary: FactorSummary) -> list[str]:
    bases = Counter(r.voted_basis for row in _rows_of(summary, any_endpoint=True) for r in row.counted)
    named = [f"{words} ({bases[basis]})" for basis, words in _BASES.items() if bases[basis]]
    said = (
        [f"The direction of the effect of the adverse level, from {_format.listing(named)}."] if named else []
    )
    said += [f"Inferred ones ({bases[INFERRED]}) are counted and enter no test."] if bases[INFERRED] else []
    said += [f"The direction is not known in {bases['']}."] if bases[""] else []
    results = [r for row in _rows_of(summary) for r in row.results]
    turned = sum(r.orientation == "inverted" for r in results)
    inverted = sum(r.ratio_inverted for r in results)
    done = [f"{_format.plural(turned, 'result')} printed for the other level {_were(turned)} turned"] * (
        turned > 0
    )
    done += [f"{_format.plural(inverted, 'ratio')} {_were(inverted)} inverted"] * (inverted > 0)
    said.append(f"{_format.listing(done)}." if done else "No result had to be turned.")
    pooled = _pooled(summary)
    if pooled:
        routes = Counter(r.se_route for used, _ in pooled for r in used)
        named = [f"{route} ({n})" for route, n in routes.most_common()]
        said.append(
            "Where ratios were pooled, the log hazard ratio of the adverse level; its standard error from "
            f"{_format.listing(named)}."
        )
    return said


def _told(count: DirectionCount) -> str:
    parts = (
        ("stated", count.n_stated),
        ("no difference", count.n_none),
        ("inferred from a significant result, in no test", count.n_inferred),
        ("not stated", count.n_not_stated),
    )
    return _format.listing(f"{words} ({n})" for words, n in parts if n)


def _rows_of(summary: FactorSummary, *, any_endpoint: bool = False) -> list[FactorRow]:
    """Rows of one endpoint each, or those of any endpoint."""
    return [row for row in summary.rows if (row.endpoint == ANY_ENDPOINT) == any_endpoint]


def _pooled(summary: FactorSummary) -> list[tuple[tuple[FactorEvidence, ...], PooledEffect]]:
    """What was pooled, with the results in it."""
    return [
        (ratios.used, ratios.pooled)
        for row in summary.rows
        for ratios in row.hazard_ratios
        if ratios.pooled is not None
    ]


def _synthesis(analyses: Sequence[Analysis]) -> list[str]:
    said = []
    for each in analyses:
        if isinstance(each, FactorSummary):
            said.append(
                "Vote counting by direction with an exact two-sided sign test of the directions that are stated. "
                f"{each.rule}"
            )
            said += _summary_pooling(each)
        elif isinstance(each, VoteCount):
            said.append(
                f"Vote counting, {each.factor}, {_plain(each.endpoint)}: one result a study; one direction a study if "
                f"{100 * each.share:g}% of its results agree; {each.weight_name}. Clopper-Pearson and Wilson intervals."
            )
        elif isinstance(each, CombinedPValue):
            said.append(
                f"P-values, {_plain(each.label) or 'not named'}: {each.method_words}, in both directions, which looks "
                f"for {COMBINATIONS[each.method].alternative}. Bounds were kept as bounds."
            )
        else:
            said.append(
                f"Median, quartiles and range of hazard ratios, {each.factor}, {_plain(each.endpoint)}."
            )
    return list(dict.fromkeys(said))


def _summary_pooling(summary: FactorSummary) -> list[str]:
    """How hazard ratios were pooled, and where not."""
    pooled, rows = _pooled(summary), _rows_of(summary)
    said = []
    if pooled:
        models = []
        for tau2, interval in dict.fromkeys((effect.tau2_method, effect.ci_method) for _, effect in pooled):
            model = "a common effect" if tau2 == "CE" else f"random effects, tau2 by {tau2}"
            models.append(f"{model}, {_INTERVALS[interval]} intervals")
        n = _format.plural(len(pooled), "analysis", "analyses")
        ratios = _format.plural(sum(effect.k for _, effect in pooled), "ratio")
        said.append(
            f"Hazard ratios of each endpoint and kind of analysis were pooled where two studies have them ({n} of "
            f"{ratios}): {'; '.join(models)}."
        )
    without = sum(all(ratios.pooled is None for ratios in row.hazard_ratios) for row in rows)
    if without:
        said.append(
            f"No hazard ratios were pooled for {without} of {len(rows)} pairs of factor and endpoint, which have fewer "
            "than two usable ones of one stated kind of analysis."
        )
    return said


def _heterogeneity(analyses: Sequence[Analysis]) -> list[str]:
    said = []
    for each in analyses:
        where = (
            ""
            if isinstance(each, FactorSummary | CombinedPValue)
            else f"{each.factor}, {_plain(each.endpoint)}"
        )
        if isinstance(each, FactorSummary):
            said += _summary_heterogeneity(each)
        elif isinstance(each, VoteCount) and each.n_conflicting:
            said.append(f"{where}: results conflict within {_studies(each.n_conflicting)}.")
        elif isinstance(each, RatioSpread) and each.k > 1:
            said.append(f"{where}: the ratios spread as item 8 says.")
            said += [f"{where}: unlike ratios are described together: {what}." for what in each.mixed]
    return list(dict.fromkeys(said)) or ["It was not investigated."]


def _summary_heterogeneity(summary: FactorSummary) -> list[str]:
    """What was kept apart, and what the counts put together."""
    rows, overall = _rows_of(summary), _rows_of(summary, any_endpoint=True)
    said = []
    if any(ratios.k for row in rows for ratios in row.hazard_ratios):
        said.append("Hazard ratios were kept apart by endpoint and kind of analysis.")
    kinds = sum(len({result.stratum for result in row.counted}) > 1 for row in rows)
    endpoints = sum(len({result.endpoint for result in row.counted}) > 1 for row in overall)
    pairs = _format.plural(len(rows), "pair of factor and endpoint", "pairs of factor and endpoint")
    mixed = [f"kinds of analysis in {kinds} of {pairs}"] * (kinds > 0)
    mixed += [
        f"endpoints in {endpoints} of {_format.plural(len(overall), 'factor')}, where they are over any endpoint"
    ] * (endpoints > 0)
    together = _format.listing(mixed) or "neither endpoints nor kinds of analysis"
    said.append(f"Counts of directions, of one result a study, put together {together}.")
    n = len(_pooled(summary))
    if n:
        said.append(f"Where hazard ratios were pooled ({n}), tau2, I2 and prediction intervals are given.")
    return said


def _presentation(analyses: Sequence[Analysis]) -> list[str]:
    said = []
    for each in analyses:
        if isinstance(each, FactorSummary):
            said.append(
                "A table of every result, counted or not, by factor and endpoint, factors of most studies first, "
                "studies in the order of the review; a table of counts; an effect-direction plot."
            )
            n = len(_pooled(each))
            if n:
                what = "the pooled hazard ratio" if n == 1 else f"each of {n} pooled hazard ratios"
                said.append(f"A table of pooled hazard ratios; a forest plot of {what}, by study.")
        elif isinstance(each, VoteCount):
            said.append("A plot of the share of studies that found worse, by each way of counting.")
        elif isinstance(each, CombinedPValue):
            said.append("A plot of the p-values of studies by direction.")
        else:
            said.append("A plot of the hazard ratios of studies over their quartiles.")
    return list(dict.fromkeys(said))


def _results(analyses: Sequence[Analysis]) -> list[str]:
    said = []
    for each in analyses:
        if isinstance(each, FactorSummary):
            said += each.narrative().splitlines()
        elif isinstance(each, VoteCount):
            said.append(f"{each.factor}, {_plain(each.endpoint)}: {each.chosen}.")
        elif isinstance(each, CombinedPValue):
            where = f"{_plain(each.label)}: " if each.label else ""
            said.append(f"{where}combined two-sided {each.shown} ({each.method_words}; k = {each.k}).")
        else:
            said.append(str(each))
    return said


def _doubts(analyses: Sequence[Analysis]) -> list[str]:
    said = ["Neither directions nor combined p-values tell the size of an effect."]
    for each in analyses:
        if isinstance(each, FactorSummary):
            said += [str(told) for told in each.warnings]
            unknown = sum(row.directions.n_not_stated for row in each.rows if row.endpoint == ANY_ENDPOINT)
            inferred = sum(row.directions.n_inferred for row in each.rows if row.endpoint == ANY_ENDPOINT)
            if unknown:
                said.append(f"{_format.plural(unknown, 'direction')} not stated.")
            if inferred:
                said.append(f"{_format.plural(inferred, 'direction')} inferred.")
        elif isinstance(each, CombinedPValue):
            said += each.doubts
        elif isinstance(each, RatioSpread):
            where = f"{each.factor}, {_plain(each.endpoint)}"
            said += [f"{where}: {_studies(each.n_without)} print no ratio."] if each.without else []
            said += [f"{where}: unlike ratios are described together: {what}." for what in each.mixed]
    return list(dict.fromkeys(said))


def _rules(analyses: Sequence[Analysis]) -> list[str]:
    return list(dict.fromkeys(each.rule for each in analyses if isinstance(each, FactorSummary)))


def _studies(n: int) -> str:
    return _format.plural(n, "study", "studies")


def _were(n: int) -> str:
    return "was" if n == 1 else "were"


def _plain(code: str) -> str:
    return code.replace("_", " ")
