"""The table and its renderers; each format is read back by a reader that shares no line with its writer."""

import csv
import dataclasses
import html.parser
import io
import re

import pandas as pd
import pytest
import strategies as records
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from netsynth.errors import InvalidInputError
from netsynth.tables import Column, Table
from netsynth.tables._marks import Marks
from netsynth.tables.render import SUPERSCRIPTS, split_number

SURVIVAL = Table(
    "5-year survival, 10 & more",
    (Column("Study"), Column("n", "right"), Column("Survival", "decimal"), Column("p_value", "decimal")),
    (
        ("Hibi_2007", "21", "41%", "0.01"),
        ("Glazer 2010", "172", "77.4%ᵃ", "<0.001"),
        ("Łódź | <b>", "5", "NR", ""),
        ("=SUM(A1)", "", "R0/R1: 85.2%; R2: 60.7%", "-0.5"),
    ),
    ("ᵃ From a review; 31–100%.",),
)
LETTERS = dict(zip(SUPERSCRIPTS, "abcdefghijklmnoprstuvwxyz", strict=True))


def numbers():
    """Cells that are numbers, as columns aligned by their decimal point hold them."""
    return st.sampled_from(
        ["41%", "77.4%ᵃ", "<0.001", "-0.5", "+3.0", "125 months", ">96 months", "12/17", "NR", ""]
    )


@st.composite
def tables(draw):
    k = draw(st.integers(1, 4))
    texts = st.just("") | records.words() | numbers() | st.text(max_size=12)
    columns = tuple(
        Column(draw(texts), draw(st.sampled_from(["left", "right", "decimal"]))) for _ in range(k)
    )
    rows = draw(st.lists(st.tuples(*[texts] * k), max_size=5))
    return Table(draw(texts), columns, tuple(rows), tuple(draw(st.lists(records.words(), max_size=2))))


# -- the table itself ------------------------------------------------------------------------------------


def test_a_table_compares_by_value_and_cannot_be_changed():
    again = Table(SURVIVAL.title, list(SURVIVAL.columns), list(SURVIVAL.rows), list(SURVIVAL.footnotes))
    assert again == SURVIVAL
    assert hash(again) == hash(SURVIVAL)
    with pytest.raises(dataclasses.FrozenInstanceError):
        SURVIVAL.title = ""


def test_a_text_is_a_column_to_the_left():
    assert Table("t", ("a",), (("1",),)).columns == (Column("a", "left"),)


def test_cells_are_one_line_of_printable_text():
    assert Table("a\nb", ("c\t d",), (("e\x00\u202ef\u00a0\u2007 g",),), ("  h  ",)) == Table(
        "a b", ("c d",), (("e f g",),), ("h",)
    )


def test_columns_that_nothing_fills_are_left_out():
    columns = (Column("Study"), Column("x"), Column("n", "right"))
    table = Table.filled("t", columns, [("a", "", "1"), ("", "", "")], ["note"])
    assert table == Table("t", (columns[0], columns[2]), (("a", "1"), ("", "")), ("note",))
    assert Table.filled("t", columns, []) == Table("t", columns[:1], ())


REFUSED = [
    (lambda: Table("t", (), ()), "t: a table needs at least one column."),
    (lambda: Table("t", ("a", "b"), (("1",),)), "t, row 0: 2 columns need as many cells; got 1."),
    (lambda: Table("t", ("a",), (("1",), (2,))), "row 1, a: a table holds text; got 2."),
    (lambda: Table(None, ("a",), ()), "title: a table holds text; got None."),
    (lambda: Table("t", ("a",), (), (1,)), "footnote: a table holds text; got 1."),
    (lambda: Column(5), "header: a table holds text; got 5."),
    (lambda: Column("a", "middle"), "column 'a': align must be one of left, right, decimal; got 'middle'."),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_refused(call, message):
    with pytest.raises(InvalidInputError) as error:
        call()
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("cell", "parts"),
    [
        ("77.4%ᵃ", ("77", ".4%ᵃ")), ("41%", ("41", "%")), ("<0.001", ("<0", ".001")), ("-0.5", ("-0", ".5")),
        ("+3.0", ("+3", ".0")), (">96 months", (">96", " months")), ("26 (mean)", ("26", " (mean)")),
        ("0", ("0", "")), ("NR", None), ("", None), ("R0/R1: 85.2%", None), ("1.2.3", None),
        ("20.0 months (95% CI, 8.9–31.1)", None),
    ],
)  # fmt: skip
def test_split_number(cell, parts):
    assert split_number(cell) == parts


def test_marks_are_handed_out_in_order_and_do_not_run_out():
    marks = Marks()
    assert [marks(note) for note in ("one", "two", "one")] == ["ᵃ", "ᵇ", "ᵃ"]
    assert marks.footnotes == ["ᵃ one", "ᵇ two"]
    many = Marks()
    given_out = [many(str(i)) for i in range(60)]
    assert len(set(given_out)) == 60
    assert given_out[25] == "ᵃᵃ"


# -- data frame ------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(tables())
def test_frame_holds_the_texts_as_shown(table):
    frame = table.to_frame()
    assert list(frame.columns) == [column.header for column in table.columns]
    assert [tuple(row) for row in frame.itertuples(index=False, name=None)] == list(table.rows)


def test_an_empty_frame_has_its_columns():
    pd.testing.assert_frame_equal(
        Table("t", ("a", "b"), ()).to_frame(), pd.DataFrame({"a": [], "b": []}, dtype=str)
    )


# -- text ------------------------------------------------------------------------------------------------


def test_text():
    assert str(SURVIVAL) == (
        "5-year survival, 10 & more\n"
        "\n"
        "Study          n                 Survival  p_value\n"
        "-----------  ---  -----------------------  -------\n"
        "Hibi_2007     21                   41%       0.01\n"
        "Glazer 2010  172                   77.4%ᵃ   <0.001\n"
        "Łódź | <b>     5                   NR\n"
        "=SUM(A1)          R0/R1: 85.2%; R2: 60.7%   -0.5\n"
        "\n"
        "ᵃ From a review; 31–100%."
    )


@given(
    st.lists(st.decimals(-1000, 1000, places=2).map(lambda d: f"{d:f}".rstrip("0").rstrip(".")), min_size=1)
)
def test_decimal_points_stand_under_each_other(cells):
    table = Table("", (Column("x", "decimal"),), tuple((cell,) for cell in cells))
    lines = str(table).splitlines()[2:]
    ends = {len(line.partition(".")[0]) for line in lines}
    assert [line.strip() for line in lines] == cells
    assert len(ends) == 1


def test_long_cells_go_on_in_the_next_line():
    long = "debulked, unknown primary: 5 y 63.7%; debulked, small intestine: 5 y 73.2%"
    text = str(
        Table("", (Column("Study"), Column("OS"), Column("n", "right")), (("a", long, "9"), ("b", "x", "1")))
    )
    assert text == (
        "Study  OS                                     n\n"
        "-----  -------------------------------------  -\n"
        "a      debulked, unknown primary: 5 y 63.7%;  9\n"
        "       debulked, small intestine: 5 y 73.2%\n"
        "b      x                                      1"
    )


@settings(max_examples=50)
@given(tables())
def test_text_keeps_every_cell(table):
    flat = " ".join(str(table).split())
    for cell in (*table.footnotes, *(cell for row in table.rows for cell in row)):
        assert all(word in flat for word in cell.split())


# -- Markdown --------------------------------------------------------------------------------------------


def read_markdown(text):
    """Header, alignments and cells of the pipe table in the text, unescaped."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    rows = []
    for line in lines:
        cells = re.split(r"(?<!\\)((?:\\\\)*)\|", line)[0:-1]
        joined = ["".join(cells[i : i + 2]) for i in range(0, len(cells), 2)][1:]
        rows.append([re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", cell.strip()) for cell in joined])
    return rows[0], [rule.endswith(":") for rule in rows[1]], rows[2:]


def test_markdown():
    assert SURVIVAL.to_markdown() == (
        "**5-year survival, 10 \\& more**\n"
        "\n"
        "| Study        |   n |                Survival | p\\_value |\n"
        "| ------------ | --: | ----------------------: | -------: |\n"
        "| Hibi\\_2007   |  21 |                     41% |     0.01 |\n"
        "| Glazer 2010  | 172 |                  77.4%ᵃ |  \\<0.001 |\n"
        "| Łódź \\| \\<b> |   5 |                      NR |          |\n"
        "| =SUM(A1)     |     | R0/R1: 85.2%; R2: 60.7% |     -0.5 |\n"
        "\n"
        "ᵃ From a review; 31–100%."
    )


@given(tables())
def test_markdown_comes_back(table):
    header, right, rows = read_markdown(table.to_markdown())
    assert header == [column.header for column in table.columns]
    assert right == [column.align != "left" for column in table.columns]
    assert rows == [list(row) for row in table.rows]


@given(tables())
def test_markdown_as_a_parser_of_its_own_reads_it(table):
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tokens = parser.parse(table.to_markdown())
    inline = [tokens[i + 1] for i, token in enumerate(tokens) if token.type in ("th_open", "td_open")]
    cells = ["".join(child.content for child in token.children) for token in inline]
    assert {child.type for token in inline for child in token.children} <= {"text", "text_special"}
    assert cells == [
        *(column.header for column in table.columns),
        *(cell for row in table.rows for cell in row),
    ]


# -- HTML ------------------------------------------------------------------------------------------------


class Reader(html.parser.HTMLParser):
    """Texts of the cells, the caption and the notes, and every tag that occurs."""

    def __init__(self):
        super().__init__()
        self.tags, self.classes, self.texts, self.raised = set(), [], [], False

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.raised = self.raised or tag == "sup"
        if tag in ("th", "td", "caption", "p"):
            self.texts.append((tag, ""))
            self.classes.append(dict(attrs).get("class"))

    def handle_endtag(self, tag):
        self.raised = self.raised and tag != "sup"

    def handle_data(self, data):
        if self.texts:
            tag, text = self.texts[-1]
            back = {plain: raised for raised, plain in LETTERS.items()}
            raised = "".join(back[char] for char in data) if self.raised else data
            self.texts[-1] = (tag, text + raised)


def read_html(text):
    reader = Reader()
    reader.feed(text)
    reader.close()
    return reader


@given(tables())
def test_html_comes_back(table):
    reader = read_html(table.to_html())
    found = {
        tag: [text.strip() for name, text in reader.texts if name == tag]
        for tag in ("th", "td", "p", "caption")
    }
    assert found["th"] == [column.header for column in table.columns]
    assert found["td"] == [cell for row in table.rows for cell in row]
    assert found["caption"] == ([table.title] if table.title else [])
    assert [text.replace("\n", "") for text in found["p"]] == (
        ["".join(table.footnotes)] if table.footnotes else []
    )
    known = {"div", "table", "caption", "thead", "tbody", "tr", "th", "td", "span", "sup", "p", "br"}
    assert reader.tags <= known


def test_html_has_classes_and_aligns_decimals():
    text = SURVIVAL.to_html()
    assert text.startswith(
        '<div class="netsynth-table">\n<table>\n<caption>5-year survival, 10 &amp; more</caption>'
    )
    assert text.endswith(
        '<p class="notes"><sup style="line-height: 0">a</sup> From a review; 31–100%.</p>\n</div>'
    )
    assert read_html(text).classes[1:5] == ["left", "right", "decimal", "decimal"]
    number = (
        '<span style="display: inline-block; min-width: 2ch; text-align: right; white-space: pre">77</span>'
        '<span style="display: inline-block; min-width: 4ch; text-align: left; white-space: pre">'
        '.4%<sup style="line-height: 0">a</sup></span>'
    )
    assert number in text
    assert "&lt;b&gt;" in text
    assert SURVIVAL._repr_html_() == text


# -- LaTeX -----------------------------------------------------------------------------------------------

COMMANDS = {
    r"\textbackslash{}": "\\", r"\textasciitilde{}": "~", r"\textasciicircum{}": "^", r"\ldots{}": "…",
    r"\textperiodcentered{}": "·", r"$\leq$": "≤", r"$\geq$": "≥", r"$\pm$": "±", r"$\times$": "×", "$-$": "-",
    r"$\infty$": "∞", "$^2$": "²", r"$\tau$": "τ", r"$\mu$": "µ", r"$\rightarrow$": "→", r"$\surd$": "✓",
    "$<$": "<", "$>$": ">", "$|$": "|", r"\&": "&", r"\%": "%", r"\$": "$", r"\#": "#", r"\_": "_", r"\{": "{",
    r"\}": "}", "---": "—", "--": "–", "''": '"', "{}": "", "~": " ",
}  # fmt: skip
TOKEN = re.compile(
    "|".join(map(re.escape, sorted(COMMANDS, key=len, reverse=True))) + r"|\\textsuperscript\{(\w+)\}|."
)


def read_latex(text):
    """What LaTeX would set; a command that the test does not know is refused."""
    shown = []
    for token in TOKEN.finditer(text):
        if token[1]:
            back = {plain: raised for raised, plain in LETTERS.items()}
            shown.append("".join(back[char] for char in token[1]))
        else:
            assert token[0] in COMMANDS or token[0] not in "\\&%$#_{}~^", token[0]
            shown.append(COMMANDS.get(token[0], token[0]))
    return "".join(shown)


def latex_rows(text, table):
    """Cells of the body, the two halves of a decimal column joined."""
    lines = text.splitlines()
    first = lines.index("\\endfoot") if "\\endfoot" in lines else lines.index("\\midrule")
    last = next(i for i in range(first, len(lines)) if lines[i] in ("\\bottomrule", "\\end{longtable}"))
    for line in lines[first + 1 : last]:
        assert line.endswith(" \\\\")
        parts = iter(re.split(r"(?<!\\) & ", line.removesuffix(" \\\\")))
        row = []
        for column in table.columns:
            part = next(parts).strip()  # as LaTeX does
            spanned = re.fullmatch(r"\\multicolumn\{2\}\{l\}\{(.*)\}", part)
            if column.align == "decimal" and not spanned:
                part += next(parts).strip()
            row.append(read_latex(spanned[1] if spanned else part))
        assert list(parts) == []
        yield row


def tabular_columns(spec):
    return len(re.sub(r"p\{\d+em\}", "p", spec).replace("r@{}l", "d"))


@given(tables())
@example(Table("", (Column("x", "decimal"),), (("125 months",), (">96 monthsᵃ",), ("-0.5",))))
@example(Table("", (Column("x"),), (("−",),)))
def test_latex_comes_back(table):
    text = table.to_latex()
    # quotation marks, hyphens, minus signs and apostrophes share signs with each other in LaTeX
    plain = [[cell.replace("''", '"').replace("−", "-") for cell in row] for row in table.rows]
    assert list(latex_rows(text, table)) == plain
    spec = re.search(r"\\begin\{tabular\}\{(.*)\}\n", text)[1]
    assert tabular_columns(spec) == len(table.columns)


def test_latex():
    assert SURVIVAL.to_latex() == "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            r"\caption{5-year survival, 10 \& more}",
            r"\begin{tabular}{lrr@{}lr@{}l}",
            r"\toprule",
            r"Study & n & \multicolumn{2}{r}{Survival} & \multicolumn{2}{r}{p\_value} \\",
            r"\midrule",
            r"Hibi\_2007 & 21 & 41 & \% & 0 & .01 \\",
            r"Glazer 2010 & 172 & 77 & .4\%\textsuperscript{a} & $<$0 & .001 \\",
            r"Łódź $|$ $<$b$>$ & 5 & \multicolumn{2}{l}{NR} &  &  \\",
            r"=SUM(A1) &  & \multicolumn{2}{l}{R0/R1: 85.2\%; R2: 60.7\%} & $-$0 & .5 \\",
            r"\bottomrule",
            r"\end{tabular}",
            r"\par\smallskip\footnotesize",
            r"\textsuperscript{a} From a review; 31--100\%.\par",
            r"\end{table}",
        ]
    )


@pytest.mark.parametrize(
    "text", ["a--b", "a---b", "-", "–", "a – b", "$x_1^2$", r"\alpha{}", "100%", "~", "I²"]
)
def test_latex_sets_the_text_as_it_stands(text):
    table = Table("", ("x",), ((text,),))
    assert list(latex_rows(table.to_latex(), table)) == [[text]]


def test_a_long_latex_table_breaks_over_pages_and_repeats_its_header():
    table = Table("t", ("Study", "Text"), tuple((f"s{i}", "x" * 40) for i in range(41)), ("note",))
    text = table.to_latex()
    assert text.startswith("\\begin{longtable}{lp{12em}}\n\\caption{t} \\\\\n\\toprule\nStudy & Text \\\\\n")
    assert text.count("Study & Text \\\\") == 2
    assert text.endswith("\\end{longtable}\n{\\footnotesize\nnote\\par\n}")
    assert len(list(latex_rows(text, table))) == 41


# -- CSV -------------------------------------------------------------------------------------------------


NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?%?")


@given(tables())
def test_csv_comes_back_and_holds_no_formula(table):
    rows = list(csv.reader(io.StringIO(table.to_csv(), newline="")))
    for cell in (cell for row in rows for cell in row):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r")) or NUMBER.fullmatch(cell)
    body = rows[1 : 1 + len(table.rows)]
    assert body == [[cell if NUMBER.fullmatch(cell) else guarded(cell) for cell in row] for row in table.rows]
    assert rows[0] == [guarded(column.header) for column in table.columns]
    notes = rows[1 + len(table.rows) :]
    assert notes == ([[], *([guarded(note)] for note in table.footnotes)] if table.footnotes else [])


def guarded(cell):
    return f"'{cell}" if cell.lstrip("'").startswith(tuple("=+-@＝＋－＠")) else cell


def test_csv():
    assert SURVIVAL.to_csv() == (
        "Study,n,Survival,p_value\r\n"
        "Hibi_2007,21,41%,0.01\r\n"
        "Glazer 2010,172,77.4%ᵃ,<0.001\r\n"
        "Łódź | <b>,5,NR,\r\n"
        "'=SUM(A1),,R0/R1: 85.2%; R2: 60.7%,-0.5\r\n"
        "\r\n"
        "ᵃ From a review; 31–100%.\r\n"
    )


def test_csv_is_written_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "table.csv"
    text = SURVIVAL.to_csv(path)
    assert path.read_bytes() == b"\xef\xbb\xbf" + text.encode()
    assert SURVIVAL.to_csv(str(path)) == text
