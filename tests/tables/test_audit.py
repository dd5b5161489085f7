from netsynth.audit import audit
from netsynth.data.study import Study
from netsynth.data.survival import ReportedSurvival, ReportedTime
from netsynth.datasets import load_nethm
from netsynth.results.audit import Audit
from netsynth.tables import audit_table

HEADERS = ["Study", "Severity", "Check", "What does not fit", "Unless", "Would fit with"]


def test_findings_are_rows():
    found = audit(
        [
            Study("A", first_author="Adams", year=2001),
            ReportedSurvival.from_percent("A", "OS", years=[1], percent=[95], n_total=13),
            ReportedTime.of("A", "OS", 24),
            ReportedTime.of("A", "PFS", 31),
        ]
    )
    table = audit_table(found)
    assert table.title == "Audit: 1 study, 1 impossible and 1 incoherent"
    assert [column.header for column in table.columns] == HEADERS
    first, second = table.rows
    assert first[:3] == ("Adams 2001, OS", "impossible", "percentage of n")
    assert first[4] == ""
    assert first[5].startswith("OS at 1 year 92% instead of 95%; ")
    assert first[5].endswith(f"or {found.findings[0].n_corrections - 3} other changes")
    assert second[4] == found.findings[1].explanation
    assert second[1] == "incoherent"


def test_footnotes_say_what_was_not_audited():
    table = audit_table(audit(ReportedSurvival.from_percent("A", "OS", years=[1, 2], percent=[95, 90])))
    assert table.rows == ()
    assert table.footnotes[0].startswith(
        "Impossible: no patients can give these numbers as they are defined; "
    )
    assert "percentage of n 0 (not checkable: n not printed (2))" in table.footnotes[1]


def test_nothing_to_check_has_no_second_footnote():
    table = audit_table(Audit("Audit", ("A",), ("A",), (), (), (), ((),)))
    assert len(table.footnotes) == 1


def test_the_packaged_review_in_every_format():
    table = audit_table(audit(load_nethm()))
    assert len(table.rows) == 5
    assert table.rows[0][0] == "Glazer 2010, OS"
    for text in (str(table), table.to_markdown(), table.to_html(), table.to_latex(), table.to_csv()):
        assert "9.6 years" in text
    assert table.to_frame().shape == (5, len(HEADERS))
