"""Figures of the log-rank test that no patients can give: an error says which numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from netsynth import _format
from netsynth.errors import ImpossibleReportError
from netsynth.hazard_routes.figures import SLACK, TwoGroups


def refuse_impossible(given: TwoGroups) -> None:
    r"""Hold observed and expected events, O - E, V and chi-squared against each other, within their rounding.

    At each time d events are expected in both groups together, so that both sums are the same. Expected numbers are not
    negative, so that :math:`-O_0 \le O_1 - E_1 \le O_1`. The variance at a time is at most :math:`d p (1 - p)` with the
    share p of the exposed at risk, so that :math:`V \le E_1 E_0 / (E_1 + E_0) \le D / 4`.
    Of a time with r at risk the statistic is at most r - 1, so that chi-squared is at most :math:`D (n_1 + n_0 - 1)`.
    All of this is of two groups: sums that differ are of a test of more, for which only O - E of a group and the side
    are held against each other.

    Raises
    ------
    ImpossibleReportError
        If some of them contradict each other.
    """
    _same_excess(given)
    _same_side(given)
    if not given.has_more_groups:
        _strong_test(given)
        _large_excess(given)
        _large_variance(given)


def _large_excess(given: TwoGroups) -> None:
    """O - E against the events."""
    excess, total = given.excess_range, given.n_events
    if excess is None or total is None:
        return
    words, names = _of_excess(given)
    most, least = float(total), -float(total)
    shown = _format.plural(total, "event")
    if given.events is not None:
        most, least = float(given.events.exposed), -float(given.events.reference)
        shown = f"{given.events} events"
    if excess.lower > most + SLACK or excess.upper < least - SLACK:
        _refuse(
            given,
            f"{words} with {shown}: {given.exposed} cannot have more than {most:g} above what is expected, nor more "
            f"than {-least:g} below",
            [*names, _events(given)],
        )


def _strong_test(given: TwoGroups) -> None:
    """Chi-squared against the patients; a p-value may be of another test."""
    if given.chi2 is None or given.patients is None or given.n_events is None:
        return
    most = given.n_events * (given.patients.total - 1)
    if given.chi2.interval.lower > most:
        _refuse(
            given,
            f"chi-squared {given.chi2.bare} with {_format.plural(given.n_events, 'event')} among {given.patients} "
            f"patients, which allow {most} at most",
            ["chi2", _events(given), "n_total" if "n_total" in given.quotes else "curves"],
        )


def _of_excess(given: TwoGroups) -> tuple[str, list[str]]:
    """Where O - E comes from, in words and as arguments."""
    if given.excess is not None:
        return f"O - E {given.excess.bare}", ["o_minus_e"]
    return f"O {given.observed} with E {given.expected}", ["observed", "expected"]


def _same_excess(given: TwoGroups) -> None:
    """O - E printed beside O and E."""
    if given.excess is None or given.observed is None or given.expected is None:
        return
    o, (low, high) = given.observed.exposed.value, given.expected.exposed.interval
    printed = given.excess.interval
    if printed.lower > o - low + SLACK or printed.upper < o - high - SLACK:
        difference = o - given.expected.exposed.value
        _refuse(
            given,
            f"O - E {given.excess.bare}, and O {given.observed} with E {given.expected} give {difference:g} for the "
            "exposed",
            ["o_minus_e", "observed", "expected"],
        )


def _same_side(given: TwoGroups) -> None:
    """The direction that the caller gave against the side of O - E."""
    excess = given.excess_range
    if "direction" not in given.quotes or excess is None or given.has_more_groups:
        return
    if excess.upper * given.direction < 0 and excess.lower * given.direction < 0:
        words, names = _of_excess(given)
        side = "more" if excess.lower > 0 else "fewer"
        _refuse(
            given,
            f"{given.exposed} is {given.side}, yet by {words} it has {side} events than expected",
            ["direction", *names],
        )


def _large_variance(given: TwoGroups) -> None:
    """V, printed or from chi-squared, against the most that the events allow."""
    most, allowed, by = _most(given)
    excess, chi2 = given.excess_range, given.chi2
    if given.information is not None:
        if given.information.interval.lower > most * (1 + SLACK):
            text = f"a log-rank variance of {given.information.bare}, and {allowed} allow {most:.4g} at most"
            _refuse(given, text, ["log_rank_variance", by])
    elif chi2 is not None and excess is not None and not excess.lower <= 0 <= excess.upper:
        words, names = _of_excess(given)
        least = min(abs(end) for end in excess) ** 2 / chi2.interval.upper
        if least > most * (1 + SLACK):
            text = (
                f"chi-squared {chi2.bare} for {words} means a log-rank variance of at least {least:.4g}, and {allowed} "
                f"allow {most:.4g} at most"
            )
            _refuse(given, text, [*names, "chi2", by])


def _most(given: TwoGroups) -> tuple[float, str, str]:
    """The largest V, what allows no more, and its argument."""
    found = [(math.inf, "", "")]
    if given.n_events:
        found.append((given.n_events / 4, _format.plural(given.n_events, "event"), _events(given)))
    if given.expected is not None:
        one, other = (each.interval for each in given.expected)
        most = one.upper * other.upper / (one.upper + other.upper)  # grows with both
        found.append((most, f"E {given.expected}", "expected"))
    return min(found)


def _events(given: TwoGroups) -> str:
    """The argument that the number of events comes from."""
    return next((name for name in ("n_events", "observed") if name in given.quotes), "curves")


def _refuse(given: TwoGroups, words: str, names: Sequence[str]) -> None:
    names = list(dict.fromkeys(names))
    raise ImpossibleReportError(
        f"{given.where}: {words}, within rounding. Check {_format.listing(names)}.", conflict=names
    )
