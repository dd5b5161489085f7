"""Five-number summaries of `references/` as arrays, shared by the tests of what is made of them."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

NAN = math.nan
REFERENCES = Path(__file__).parent / "references"
FIVE = json.loads((REFERENCES / "five_numbers.json").read_text(encoding="utf-8"))
MEDIANS = json.loads((REFERENCES / "medians.json").read_text(encoding="utf-8"))
KEPT = {"S1": [0, 2, 4], "S2": [1, 2, 3], "S3": [0, 1, 2, 3, 4]}


def summaries():
    """Each made-up summary as a row in each of its scenarios, with n and what R says of it."""
    found = []
    for case in FIVE["summaries"]:
        names = ("min", "q1", "median", "q3", "max")
        whole = np.array([NAN if case["input"][name] is None else case["input"][name] for name in names])
        for kind, output in case["output"].items():
            values = np.full(5, NAN)
            values[KEPT[kind]] = whole[KEPT[kind]]
            found.append(pytest.param(values, float(case["input"]["n"]), output, id=f"{case['id']}-{kind}"))
    return found


def columns(data, arm="g1"):
    """Summaries, shape (k, 5), and numbers of patients of one arm of a data set of R."""
    names = ("min", "q1", "med", "q3", "max")
    k = len(data[f"n.{arm}"])
    values = np.array([data.get(f"{name}.{arm}", [None] * k) for name in names], dtype=float).T
    return values, np.array(data[f"n.{arm}"], dtype=float)
