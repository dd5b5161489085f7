import dataclasses
import json
import re
import warnings
from importlib import import_module

import joblib
import numpy as np
import pytest

from netsynth.errors import ConvergenceError, InvalidInputError, NetsynthWarning
from netsynth.kernels.tau2 import TAU2_ESTIMATORS, Tau2Estimate
from netsynth.pool import pool_effects
from netsynth.subsets import gosh

STUDIES = ["Adams 2001", "Brown 2005", "Chen 2010", "Dow 2012", "Evans 2016"]
LOG_HR, SE = np.array([-0.51, -0.32, -0.33, -0.45, 0.10]), np.array([0.18, 0.10, 0.15, 0.22, 0.20])


def pool(y=LOG_HR, se=SE, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        return pool_effects(y, se=se, measure="log_hr", **{"ci_method": "HK", **options})


@pytest.fixture(scope="module")
def many():
    rng = np.random.default_rng(1)
    v = np.exp(rng.normal(-2, 1, 12))
    return pool(rng.normal(0, np.sqrt(v + 0.2)), np.sqrt(v))


@pytest.mark.parametrize("method", TAU2_ESTIMATORS)
def test_each_subset_is_pooled_as_if_alone(method):
    cloud = gosh(pool(tau2_method=method, study=STUDIES))
    assert (cloud.complete, cloud.n_subsets, cloud.members.shape) == (True, 31, (31, 5))
    frame = cloud.subset_frame()
    for held, (_, row) in zip(cloud.members, frame.iterrows(), strict=True):
        alone = pool(LOG_HR[held], SE[held], tau2_method=method)
        for name in ("estimate", "natural", "tau2", "i2", "i2_tau2", "q", "k"):
            assert row[name] == pytest.approx(getattr(alone, name), rel=1e-8, abs=1e-10, nan_ok=True), name
    assert len({row.tobytes() for row in cloud.packed}) == 31


def test_medians_are_over_subsets_of_two_or_more():
    cloud = gosh(pool(study=STUDIES))
    frame, several = cloud.summary_frame(), cloud.k > 1
    assert frame.index.tolist() == STUDIES
    assert frame["n_with"].tolist() == [15] * 5  # 2^4 subsets hold a study, one of them it alone
    assert frame["n_without"].tolist() == [11] * 5  # 2^4 - 1 do not, four of them of one study
    held = cloud.members[:, 4] & several
    row = frame.loc["Evans 2016"]
    assert row["estimate_with"] == np.median(cloud.estimate[held])
    assert row["estimate_without"] == np.median(cloud.estimate[several & ~held])
    assert row["i2_with"] == np.median(cloud.i2[held])
    assert row["tau2_without"] == np.median(cloud.tau2[several & ~held])
    assert row["natural_with"] == pytest.approx(np.exp(row["estimate_with"]))
    np.testing.assert_array_equal(
        cloud.quantiles([0.1, 0.5]), np.quantile(cloud.estimate[several], [0.1, 0.5])
    )


def test_the_text_names_the_study_that_separates():
    cloud = gosh(pool(study=STUDIES))
    assert cloud.most == "Evans 2016"
    lines = str(cloud).splitlines()
    assert lines[0] == "All 31 subsets: Hazard ratio, random effects, tau2 by REML, CI by HK, k = 5"
    low, median, high = np.exp(cloud.quantiles())
    row = cloud.summary_frame().loc["Evans 2016"]
    assert cloud.conclusion() == (
        f"Of subsets of two or more studies the middle 95% lie between {low:.2f} and {high:.2f}, the median is "
        f"{median:.2f}. Evans 2016 separates them most: median {row['natural_with']:.2f} with it and "
        f"{row['natural_without']:.2f} without it."
    )
    assert cloud._repr_html_().count("<tr>") == 6


def test_random_subsets_resemble_all(many):
    everything, sample = gosh(many), gosh(many, n_subsets=2000, rng=1)
    assert (everything.complete, sample.complete) == (True, False)
    assert str(sample).startswith("2,000 random subsets: ")
    assert sample.n_subsets == 2000
    codes = {row.tobytes(): i for i, row in enumerate(everything.packed)}
    places = [codes[row.tobytes()] for row in sample.packed]
    np.testing.assert_allclose(sample.estimate, everything.estimate[places], rtol=1e-9, atol=1e-12)
    # a study is in half of the subsets: binomial, standard deviation 22
    assert np.abs(sample.members.sum(axis=0) - 1000).max() < 5 * 22.4


def test_the_seed_alone_decides(many):
    first, again, other = (gosh(many, n_subsets=3000, rng=seed) for seed in (7, np.random.default_rng(7), 8))
    np.testing.assert_array_equal(first.packed, again.packed)
    np.testing.assert_array_equal(first.estimate, again.estimate)
    assert not np.array_equal(first.packed, other.packed)


def test_workers_do_not_change_the_answer(many, monkeypatch):
    monkeypatch.setattr(import_module("netsynth.subsets"), "_CHUNK", 12 * 500)
    alone = [gosh(many), gosh(many, n_subsets=3000, rng=7)]
    with joblib.parallel_config(backend="threading", n_jobs=3):
        spread = [gosh(many), gosh(many, n_subsets=3000, rng=7)]
    for one, other in zip(alone, spread, strict=True):
        for name in ("packed", "estimate", "tau2", "q", "k"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_the_result_is_frozen_and_speaks_json():
    cloud = gosh(pool(study=STUDIES))
    for field in dataclasses.fields(cloud):
        if isinstance(value := getattr(cloud, field.name), np.ndarray):
            assert not value.flags.writeable
    plain = json.loads(json.dumps(cloud.to_dict(), allow_nan=False))
    assert (plain["n_subsets"], plain["complete"]) == (31, True)
    assert [row["study"] for row in plain["studies"]] == STUDIES
    assert plain["estimate_quantiles"]["0.5"] == cloud.quantiles()[1]


def test_what_is_refused(many):
    def refused(message, *args, **kwargs):
        with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
            gosh(*args, **kwargs)

    refused("gosh needs at least three studies; got 2.", pool(LOG_HR[:2], SE[:2]))
    refused("n_subsets must be a whole number of at least 100; got 99.", many, n_subsets=99)
    message = "rng must be a seed, a numpy Generator that can spawn others, or None; got {!r}."
    refused(message.format("seven"), many, n_subsets=100, rng="seven")
    refused(message.format(-1), many, n_subsets=100, rng=-1)
    refused(
        "gosh needs at least two studies; Study 1 is the only one, and nothing was pooled.",
        pool([0.1], [0.2]),
    )
    with pytest.raises(InvalidInputError, match=r"^probability must lie in \[0, 1\]"):
        gosh(pool()).quantiles([50])


def test_a_subset_that_does_not_arrive_is_named(monkeypatch):
    real = TAU2_ESTIMATORS["DL"]

    def stuck(y, v, design=None, /):
        found = real(y, v, design)
        return Tau2Estimate(found.tau2, np.isinf(v[..., 4]) | np.isfinite(v[..., 0]), 7)

    pooled = pool(tau2_method="DL", study=STUDIES)
    monkeypatch.setattr("netsynth.diagnose.TAU2_ESTIMATORS", {"DL": stuck})
    with pytest.raises(
        ConvergenceError, match=r"^tau2 by DL did not converge on Brown 2005 and Evans 2016\.$"
    ):
        gosh(pooled)
