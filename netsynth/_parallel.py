"""Bulk work in chunks: one after another, on many cores, or on a cluster, as the caller configured joblib.

Without a configuration everything runs in this process. With one, the same call spreads::

    with joblib.parallel_config(backend="loky", n_jobs=8):
        ...

Dask and Ray are backends of joblib too, so a cluster is one line of the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Chunk = TypeVar("Chunk")
Answer = TypeVar("Answer")


def map_chunks(
    function: Callable[[Chunk], Answer], chunks: Sequence[Chunk], *, description: str
) -> list[Answer]:
    """`function` of each chunk, in order, under the caller's `joblib.parallel_config`.

    A progress bar named `description` appears once the work has taken a second. Chunks must not share
    a random generator: spawn one for each, so that the answer does not depend on who computes it.
    """
    from joblib import Parallel, delayed
    from tqdm import tqdm

    work = Parallel(return_as="generator")(delayed(function)(chunk) for chunk in chunks)
    return list(tqdm(work, desc=description, total=len(chunks), delay=1.0, leave=False))
