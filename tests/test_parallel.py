import gc
import time

import joblib
import numpy as np
import pytest

from netsynth._parallel import map_chunks


def power(chunk):
    """What a chunk with random numbers of its own comes to; a function that processes can find."""
    rng, n = chunk
    return float(np.prod(rng.random(n)))


def chunks():
    return [(np.random.default_rng(seed), 3) for seed in range(7)]


def test_order_is_kept_and_nothing_is_spread_unasked():
    seen = []
    assert map_chunks(lambda n: seen.append(n) or n * n, [3, 1, 2], description="squares") == [9, 1, 4]
    assert seen == [3, 1, 2]
    assert map_chunks(power, [], description="nothing") == []


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_the_answer_does_not_depend_on_who_computes_it(backend):
    alone = map_chunks(power, chunks(), description="powers")
    with joblib.parallel_config(backend=backend, n_jobs=2):
        assert map_chunks(power, chunks(), description="powers") == alone


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_a_dask_cluster_gives_the_same_answer():
    from distributed import Client, LocalCluster

    alone = map_chunks(power, chunks(), description="powers")
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        assert map_chunks(power, chunks(), description="powers") == alone
    gc.collect()  # of sockets that distributed leaves open, while their warning is let pass


def test_a_bar_shows_on_long_work_alone(capsys):
    map_chunks(lambda n: n, [1, 2], description="quick")
    assert capsys.readouterr().err == ""
    map_chunks(lambda _: time.sleep(0.6), [1, 2, 3], description="slow work")
    assert "slow work" in capsys.readouterr().err


def test_an_error_in_a_chunk_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        map_chunks(lambda n: 1 / n, [1, 0], description="divisions")
