"""What the pictures of selective publication draw is what the results say."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import stats

from netsynth.errors import InvalidInputError
from netsynth.plots.selection import pet_peese_plot, weight_plot
from netsynth.pool import pool_effects
from netsynth.selection import fit_selection_model, pet_peese

LOG_HR = [-0.92, -1.05, -0.24, -0.71, -0.51, 0.12, -0.55, -0.18, -0.32, -0.05, -0.16]
SE = [0.41, 0.38, 0.33, 0.30, 0.26, 0.22, 0.19, 0.16, 0.12, 0.10, 0.09]


@pytest.fixture(scope="module")
def pooled():
    return pool_effects(LOG_HR, se=SE, measure="log_hr")


def curves(ax, color):
    return [line for line in ax.lines if line.get_color() == color and line.get_transform() == ax.transData]


def test_the_steps_are_the_weights(pooled):
    model = fit_selection_model(pooled, alternative="less")
    ax = weight_plot(model)
    (curve,) = (line for line in curves(ax, "#0072B2") if len(line.get_xdata()) > 2)
    p, weight = stats.norm.cdf(curve.get_xdata()), curve.get_ydata()
    assert weight[p <= 0.025 * (1 + 1e-10)] == pytest.approx(1.0)
    assert weight[p > 0.025 * (1 + 1e-10)] == pytest.approx(model.weight[1])
    band = ax.collections[0].get_paths()[0].vertices
    low, high = model.weight_interval()
    assert band[:, 1].max() == pytest.approx(high[1])
    assert band[band[:, 1] > 0, 1].min() == pytest.approx(low[1])


def test_each_study_has_its_mark(pooled):
    model = fit_selection_model(pooled, alternative="less")
    marks = [
        line.get_xdata()[0] for line in curves(weight_plot(model), "#1a1a1a") if len(line.get_xdata()) == 2
    ]
    expected = np.clip(stats.norm.cdf(np.array(LOG_HR) / SE), 1e-4, 1 - 1e-4)
    assert stats.norm.cdf(sorted(marks)) == pytest.approx(np.sort(expected))


def test_a_smooth_weight_is_drawn_as_it_is(pooled):
    model = fit_selection_model(pooled, alternative="less", form="negative_exponential")
    (curve,) = (line for line in curves(weight_plot(model), "#0072B2") if len(line.get_xdata()) > 2)
    p = stats.norm.cdf(curve.get_xdata())
    assert curve.get_ydata() == pytest.approx(np.exp(-model.weight[0] * p), rel=1e-9)


def test_given_weights_have_no_band(pooled):
    ax = weight_plot(fit_selection_model(pooled, alternative="less", weights="severe_one_tailed"))
    assert not ax.collections
    assert "95% CI" not in [text.get_text() for text in ax.texts]


@pytest.mark.parametrize("effects", [[0.4, 0.56, 0.72, 1.2], [0.3, 0.3, 0.3, 0.3], [0.0, 0.0, 0.0, 0.0]])
@pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")
def test_a_line_without_an_interval_is_drawn(effects):
    ax = pet_peese_plot(pet_peese(pool_effects(effects, se=[0.1, 0.18, 0.26, 0.5])))
    low, high = ax.get_ylim()
    assert low < min(effects) <= max(effects) < high


def test_the_lines_and_intervals_of_pet_peese(pooled):
    result = pet_peese(pooled)
    ax = pet_peese_plot(result, level=0.9)
    for line, color, power in ((result.pet, "#0072B2", 1), (result.peese, "#D55E00", 2)):
        curve, interval = (next(c for c in curves(ax, color) if len(c.get_xdata()) == n) for n in (301, 2))
        se = curve.get_xdata()
        assert np.log(curve.get_ydata()) == pytest.approx(line.intercept + line.slope * se**power, abs=1e-12)
        assert np.log(interval.get_ydata()) == pytest.approx(tuple(line.confidence_interval(0.9)))
    dots = ax.lines[-1]
    studies = next(c for c in ax.lines if c.get_marker() == "o" and len(c.get_xdata()) == 11)
    assert studies.get_xdata() == pytest.approx(SE)
    assert np.log(studies.get_ydata()) == pytest.approx(LOG_HR)
    assert dots.axes is ax


@pytest.mark.parametrize("form", ["step", "beta", "half_normal"])
def test_weights_are_readable(pooled, form, readable):
    model = fit_selection_model(pooled, alternative="less", form=form)
    readable(model.plot(), marks=False)
    _, ax = plt.subplots(figsize=(4.4, 3.6))
    assert model.plot(ax=ax) is ax
    readable(ax, marks=False)


@pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")
def test_many_steps_are_readable(pooled, readable):
    readable(
        fit_selection_model(pooled, steps=(0.025, 0.05, 0.1, 0.5, 0.9), alternative="less").plot(),
        marks=False,
    )
    readable(fit_selection_model(pooled, weights="moderate_two_tailed").plot(), marks=False)


def test_pet_peese_is_readable(pooled, readable):
    result = pet_peese(pooled)
    readable(result.plot(), marks=False)
    generic = pet_peese(pool_effects(LOG_HR, se=SE), model="REML")
    _, ax = plt.subplots(figsize=(4.4, 3.6))
    assert generic.plot(ax=ax) is ax
    readable(ax, marks=False)
    assert ax.get_xlabel() == "Standard error"


@pytest.mark.parametrize("make", [weight_plot, pet_peese_plot])
def test_what_is_refused(pooled, make):
    result = pet_peese(pooled) if make is pet_peese_plot else fit_selection_model(pooled, alternative="less")
    with pytest.raises(InvalidInputError) as refused:
        make(result, level=95)
    assert str(refused.value) == "level must be a fraction between 0 and 1, such as 0.95; got 95."
    _, ax = plt.subplots(figsize=(1.0, 1.0))
    with pytest.raises(
        InvalidInputError, match=r"^The axes are 0\.8 by 0\.8 inches; this figure needs at least "
    ):
        make(result, ax=ax)
