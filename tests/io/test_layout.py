"""The layout: names that lead to one column each, and a page that lists them all."""

import re
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest

from netsynth.data.review import TableName
from netsynth.errors import InvalidInputError
from netsynth.io import read_review
from netsynth.io.layout import TABLES, find_table, fold

PAGE = (Path(__file__).parents[2] / "docs" / "guide" / "layout.md").read_text(encoding="utf-8")


def documented(table):
    """Rows of the page's table: {column: (other names, whether it is needed)}."""
    section = re.search(rf"(?ms)^## {table}\n(.*?)(?=^## |\Z)", PAGE)[1]
    rows = re.findall(r"(?m)^\| (\*\*)?`(\w+)`(?:\*\*)? \| ([^|]*) \| [^|]+ \|$", section)
    return {name: (tuple(re.findall(r"`(\w+)`", names)), bool(bold)) for bold, name, names in rows}


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_the_page_lists_every_column_with_its_names(table):
    expected = {column.name: (column.synonyms, column.required) for column in table.columns}
    assert documented(table.name) == expected


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_a_name_leads_to_one_column(table):
    names = [fold(word) for column in table.columns for word in (column.name, *column.synonyms)]
    assert [name for name, n in Counter(names).items() if n > 1] == []


def test_every_table_of_to_frame_is_there():
    assert list(TABLES)[: len(get_args(TableName))] == list(get_args(TableName))


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("Studies", "studies"),
        (" SURVIVAL ", "survival"),
        ("Prognostic factors", "prognostic"),
        ("survivals", None),
    ],
)
def test_tables_are_found_without_regard_to_case(name, table):
    assert find_table(name) == table


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"survivals": {}}, "columns: no table 'survivals'; the tables are studies, survival, proportions, "),
        (
            {"studies": {"N": "patients"}},
            "columns: 'N' cannot stand for 'patients', which is no column of studies; its columns are study_id, ",
        ),
    ],
)
def test_impossible_synonyms_are_refused(columns, message):
    with pytest.raises(InvalidInputError) as error:
        read_review({"studies": [{"id": "a"}]}, columns=columns)
    assert str(error.value).startswith(message)
