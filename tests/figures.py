"""Patients that are known, the figures a paper would print of them, and how far others are from them. numpy only.

The second implementation of everything that the reconstruction of patients is judged by.
"""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

FILE = Path(__file__).parent / "references" / "curves" / "digitized.json.gz"


class Patients(NamedTuple):
    """One entry a patient: when last seen, and 1 for an event."""

    time: np.ndarray
    event: np.ndarray


class Steps(NamedTuple):
    """A Kaplan-Meier estimate: when it falls and to what."""

    time: np.ndarray
    level: np.ndarray

    def at(self, time, *, just_before=False):
        place = np.searchsorted(self.time, time, "left" if just_before else "right")
        return np.concatenate([[1.0], self.level])[place]

    def mean(self, horizon):
        """Area under the estimate up to a horizon."""
        edges = np.concatenate([[0.0], self.time[self.time < horizon], [horizon]])
        return float(np.diff(edges) @ self.at(edges[:-1]))

    def distance(self, other, horizon):
        """Mean absolute difference up to a horizon."""
        edges = np.concatenate([[0.0, horizon], self.time, other.time])
        edges = np.unique(edges[edges <= horizon])
        gap = np.abs(self.at(edges[:-1]) - other.at(edges[:-1]))
        return float(gap @ np.diff(edges) / horizon)


def kaplan_meier(time, event):
    falls = np.unique(time[event == 1])
    last_seen, died = np.sort(time), np.sort(time[event == 1])
    r = last_seen.size - np.searchsorted(last_seen, falls, "left")
    d = np.searchsorted(died, falls, "right") - np.searchsorted(died, falls, "left")
    return Steps(falls, np.cumprod(1 - d / r))


def at_risk(time, at):
    """Numbers of those last seen at each time or later."""
    return [int((time >= t).sum()) for t in at]


def log_hazard_ratio(one, other):
    """Cox's log hazard ratio of the first group against the second, ties after Efron, and its standard error."""
    falls = np.unique(np.concatenate([one.time[one.event == 1], other.time[other.event == 1]]))
    edges = np.append(falls, np.inf)
    d, n = [], []
    for time, event in (one, other):
        d.append(np.histogram(time[event == 1], edges)[0])
        n.append(time.size - np.searchsorted(np.sort(time), falls))
    both = sum(d)
    left = np.concatenate([np.arange(k) / k for k in both])
    r_one, rest = (
        np.repeat(alive, both) - left * np.repeat(died, both) for alive, died in zip(n, d, strict=True)
    )
    effect = 0.0
    for _ in range(30):
        share = r_one * np.exp(effect) / (r_one * np.exp(effect) + rest)
        information = float((share * (1 - share)).sum())
        effect += float(np.clip((d[0].sum() - share.sum()) / information, -1.0, 1.0))
    return effect, information**-0.5


# --- figures of public data ----------------------------------------------------------------------------


class Case(NamedTuple):
    """A figure of a public data set, and the patients it was made from."""

    id: str
    scenario: str
    pair: str
    unit: str
    points: tuple[np.ndarray, np.ndarray]
    table: dict
    n_total: int
    n_events: int
    axis_end: float
    censor_time: list | None
    truth: Patients
    tau: float

    @property
    def curve(self):
        return kaplan_meier(*self.truth)


@cache
def cases():
    content = json.loads(gzip.decompress(FILE.read_bytes()))
    truth = {
        name: (Patients(np.array(p["time"]), np.array(p["event"])), p["tau"])
        for name, p in content["patients"].items()
    }
    return tuple(
        Case(
            case["id"],
            case["scenario"],
            case["pair"],
            case["unit"],
            (np.array(case["time"]), np.array(case["survival"])),
            {"at_risk_time": case["at_risk_time"], "n_at_risk": case["n_at_risk"]},
            case["n_total"],
            case["n_events"],
            case["axis_end"],
            case["censor_time"],
            *truth[case["patients"]],
        )
        for case in content["cases"]
    )


def pairs():
    """Cases of the two arms of one study in one scenario."""
    arms = {}
    for case in cases():
        if case.pair:
            arms.setdefault((case.pair, case.scenario), []).append(case)
    return [tuple(both) for both in arms.values() if len(both) == 2]


# --- figures of made-up patients -----------------------------------------------------------------------

LIFE = {
    "exponential": lambda rng, n: rng.exponential(1.0, n),
    "early": lambda rng, n: rng.weibull(0.5, n),
    "late": lambda rng, n: rng.weibull(3.0, n),
    "tied": lambda rng, n: rng.integers(1, 9, n) / 4,
    "cured": lambda rng, n: np.where(rng.random(n) < 0.4, 9.0, rng.exponential(1.0, n)),
}
FOLLOW_UP = {
    "everybody": lambda _, n: np.full(n, np.inf),
    "staggered": lambda rng, n: rng.uniform(0.0, 3.0, n),
    "one day": lambda _, n: np.full(n, 1.2),
    "visits": lambda rng, n: rng.integers(1, 6, n) / 2,
}


def patients(rng, n, life="exponential", follow_up="staggered", scale=20.0):
    """Patients by one law of life and one of follow-up, in order of time, at least one of them with an event."""
    life, until = LIFE[life](rng, n), FOLLOW_UP[follow_up](rng, n)
    time, event = np.minimum(life, until) + 1e-3, (life <= until).astype(int)
    event[np.argmax(event)] = 1
    order = np.lexsort((1 - event, time))
    return Patients(scale * time[order], event[order])


def lower_corners(data):
    """Where the estimate falls and to what, from (0, 1) to the last patient."""
    curve, end = kaplan_meier(*data), data.time.max()
    time, level = [0.0, *curve.time], [1.0, *curve.level]
    return (
        np.array([*time, end] if end > time[-1] else time),
        np.array([*level, level[-1]] if end > time[-1] else level),
    )


def both_corners(data):
    """Both ends of each step, from (0, 1) to the last patient."""
    curve = kaplan_meier(*data)
    time = np.concatenate([[0.0], np.repeat(curve.time, 2), [data.time.max()]])
    return time, np.repeat(np.concatenate([[1.0], curve.level]), 2)


def clicks(rng, data, m=100, noise=0.002, time_noise=0.003, decimals=3):
    """Points near the curve, in order along it, with errors of a hand; from 0 to the last patient."""
    curve, end = kaplan_meier(*data), data.time.max()
    at = np.concatenate([[0.0], np.sort(rng.uniform(0.0, end, m - 2)), [end]])
    level = curve.at(at) + rng.normal(0.0, noise, m)
    return np.maximum(at + rng.normal(0.0, time_noise * end, m), 0.0), np.round(
        np.clip(level, -0.01, 1.01), decimals
    )


def table(data, k):
    """Numbers at risk at k even times from 0."""
    at = np.linspace(0.0, data.time.max(), k, endpoint=False)
    return {"at_risk_time": at, "n_at_risk": at_risk(data.time, at)}


def simulated(most=400):
    """Random patients and the generator that made them."""

    def build(seed, n, life, follow_up, scale):
        rng = np.random.default_rng(seed)
        return patients(rng, n, life, follow_up, scale), rng

    return st.builds(
        build,
        st.integers(0, 2**32 - 1),
        st.integers(1, 12) | st.integers(13, 60) | st.integers(61, most)
        if most > 60
        else st.integers(1, most),
        st.sampled_from(list(LIFE)),
        st.sampled_from(list(FOLLOW_UP)),
        st.sampled_from([0.1, 1.0, 20.0, 365.25]),
    )
