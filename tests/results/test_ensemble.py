import json
import math
import re

import numpy as np
import pytest

from netsynth.errors import InvalidInputError, UnusableDataWarning
from netsynth.results.ensemble import PseudoData, PseudoEnsemble, combine_analyses


def ensemble(n_draws=5, n=40, seed=1, label="Example"):
    rng = np.random.default_rng(seed)
    draws = (
        PseudoData(rng.exponential(10.0, n), (rng.random(n) < 0.7).astype(np.int64)) for _ in range(n_draws)
    )
    return PseudoEnsemble(label, tuple(draws))


def log_rate(data):
    return np.log(data.event.sum() / data.time.sum()), 1 / data.event.sum()


def log_ratio(treated, control):
    (a, v), (b, w) = log_rate(treated), log_rate(control)
    return a - b, v + w


def test_one_number_combined_by_hand():
    draws = ensemble()
    found = draws.combine(log_rate)
    answers = np.array([log_rate(data) for data in draws.draws])
    total = answers[:, 1].mean() + 1.2 * answers[:, 0].var(ddof=1)
    assert found.estimate == pytest.approx(answers[:, 0].mean())
    assert found.se == pytest.approx(math.sqrt(total))
    assert found.reporting_loss == pytest.approx(1.2 * answers[:, 0].var(ddof=1) / total)
    assert isinstance(found.estimate, float)
    low, high = found.confidence_interval(0.9)
    assert low < found.estimate < high
    assert found.n_draws == 5


def test_several_numbers_keep_their_covariance():
    matrix = np.array([[2.0, 1.0], [1.0, 3.0]])

    def two(data):
        return [data.time.mean(), data.event.mean()], matrix

    draws = ensemble()
    found = draws.combine(two)
    answers = np.array([two(data)[0] for data in draws.draws])
    assert found.covariance == pytest.approx(matrix + 1.2 * np.cov(answers.T))
    assert found.estimate == pytest.approx(answers.mean(axis=0))
    variances = draws.combine(lambda data: (two(data)[0], [2.0, 3.0]))
    assert variances.within == pytest.approx(np.diag([2.0, 3.0]))
    assert variances.confidence_interval().lower == pytest.approx(found.confidence_interval().lower)


def test_two_groups_go_in_pairs():
    treated, control = ensemble(seed=1), ensemble(seed=2, n=30)
    found = combine_analyses(log_ratio, treated, control, measure="log_hr")
    pairs = zip(treated.draws, control.draws, strict=True)
    assert found.estimate == pytest.approx(np.mean([log_ratio(a, b)[0] for a, b in pairs]))
    assert treated.combine(log_ratio, control, measure="log_hr").estimate == found.estimate
    low, high = found.natural_interval()
    assert (low, high) == pytest.approx(tuple(np.exp(found.confidence_interval())))


def test_survival_is_combined_on_the_log_log_scale():
    draws = ensemble(n=100)
    found = draws.survival([2.0, 5.0])

    def by_hand(data):
        s = np.array([1.0, 1.0])
        g = np.zeros(2)
        for t in np.sort(data.time[data.event == 1]):
            r = (data.time >= t).sum()
            s *= np.where([t <= 2, t <= 5], (r - 1) / r, 1)
            g += np.where([t <= 2, t <= 5], 1 / (r * (r - 1)) if r > 1 else np.inf, 0)
        log = np.log(s)
        return np.log(-log), np.array([[g[0], g[0]], [g[0], g[1]]]) / np.outer(log, log)

    expected = draws.combine(by_hand, measure="cloglog_survival")
    assert found.estimate == pytest.approx(expected.estimate)
    assert found.covariance == pytest.approx(expected.covariance)
    assert (np.diff(found.natural) < 0).all()
    lower, upper = found.natural_interval()
    assert ((lower < found.natural) & (found.natural < upper)).all()


def test_restricted_means_are_months_within_the_horizon():
    found = ensemble().rmst(5.0)
    assert 0 < found.estimate < 5
    assert found.label == ("mean up to 5",)


def test_an_answer_that_is_undefined_once_is_undefined_with_a_reason():
    draws = PseudoEnsemble(
        "Example",
        (
            PseudoData(np.array([1.0, 2, 3]), np.array([1, 0, 0])),
            PseudoData(np.array([1.0, 2, 9]), np.array([1, 0, 0])),
        ),
    )
    message = "Example: survival at 5 is undefined in 1 of 2 data sets, and so it is as a whole"
    with pytest.warns(UnusableDataWarning, match=f"^{re.escape(message)}$"):
        found = draws.survival([1.5, 5.0])
    assert np.isnan(found.estimate[1])
    assert np.isnan(found.confidence_interval().lower[1])
    assert found.estimate[0] == pytest.approx(np.log(-np.log(2 / 3)))
    assert message in str(found.warnings[0]).replace("UnusableDataWarning: ", "")


def test_frames_texts_and_json():
    draws = ensemble()
    assert list(draws.frame().columns) == ["draw", "time", "event"]
    assert draws.frame().groupby("draw").size().tolist() == [40] * 5
    found = draws.survival([2.0, 5.0])
    frame = found.summary_frame()
    assert frame.index.tolist() == ["survival at 2", "survival at 5"]
    assert frame["se"].to_numpy() == pytest.approx(found.se)
    plain = found.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert str(draws) == "Example: 5 data sets of 40 patients"
    assert "variance lost to reporting" in str(found)
    assert "<td>survival at 5</td>" in found._repr_html_()


def test_arrays_are_read_only():
    draws = ensemble()
    for array in (draws.draws[0].time, draws.survival([2.0]).covariance):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda data: data.time.mean(), "an analysis must return an estimate and its variance; got "),
        (
            lambda data: ([1, 2], 1.0),  # noqa: ARG005
            "an estimate of shape (2,) needs a variance of that shape or a 2 by 2 covariance; got shape ().",
        ),
    ],
)
def test_an_analysis_that_returns_something_else_is_refused(wrong, message):
    with pytest.raises(InvalidInputError, match=f"Example: {re.escape(message)}"):
        ensemble().combine(wrong)


def test_ensembles_that_do_not_fit_are_refused():
    data = ensemble().draws
    with pytest.raises(InvalidInputError, match="needs at least two data sets; got 1"):
        PseudoEnsemble("", data[:1])
    with pytest.raises(InvalidInputError, match="the same shape"):
        PseudoEnsemble("", (data[0], ensemble(n=3).draws[0]))
    with pytest.raises(InvalidInputError, match=re.escape("same number of data sets; got [4, 5].")):
        combine_analyses(log_ratio, ensemble(5), ensemble(4))
    with pytest.raises(InvalidInputError, match="measure must be one of"):
        ensemble().combine(log_rate, measure="ratio")
