"""A large table is read as a stream; what is wrong throughout fails without filling the memory."""

import subprocess
import sys
from pathlib import Path

import pytest

POINTS = 4  # of one curve
CURVES = 5  # of one study

#: Reads the folder in a process of its own, so that its memory can be told from that of other tests.
SCRIPT = """
import sys
from pathlib import Path
from netsynth.errors import ReadError
from netsynth.io import read_review

def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])

before = peak()
try:
    review = read_review(sys.argv[1])
    points = sum(len(record.points) for record in review.survival)
    print(len(review.studies), len(review.survival), points, review.survival[-1].points[-1].row_id)
except ReadError as error:
    print(error.n_problems, len(error.problems), error.problems[-1].row)
print(peak() - before)
"""

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from /proc")


def read(folder, row, n_rows):
    """Counts that the script prints for a table made of `row(study, curve, point, i)`, and the megabytes it took."""
    n_studies = n_rows // POINTS // CURVES
    (folder / "studies.csv").write_text("study_id\n" + "".join(f"s{i}\n" for i in range(n_studies)))
    with (folder / "survival.csv").open("w") as file:
        file.write(
            "row_id,study_id,endpoint,statistic,time_value,time_unit,value,value_unit,group,set,notes\n"
        )
        for i in range(n_rows):
            study, curve, point = i // POINTS // CURVES, i // POINTS % CURVES, i % POINTS
            file.write(f"R{i},{row(study, curve, point, i)},note {i}\n")
    command = [sys.executable, "-c", SCRIPT, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  # our own script
    counts, kilobytes = done.stdout.splitlines()
    return [int(word) if word.isdigit() else word for word in counts.split()], int(kilobytes) / 1024


def test_a_hundred_thousand_rows(tmp_path):
    def row(study, curve, point, i):
        return (
            f"s{study},OS,percent,{point + 1},year,{95 - 20 * point - i % 97 / 10:.1f},%,group {curve},core"
        )

    counts, megabytes = read(tmp_path, row, 100_000)
    assert counts == [5_000, 25_000, 100_000, "R99999"]
    assert 10 < megabytes < 100  # that is below 1 GB for a million rows; what is kept is the records


@pytest.mark.parametrize(
    ("bad", "n_each"),
    [
        ("{s},OS,percent,{t},year,=1+1,%,group {c},core", 1),
        ("nobody{i},XX,percent,{t},year,50,%,group {c},core", 2),
        ("{s},OS,percent,{t},year,50,%", 1),
    ],
)
def test_bad_rows_are_counted_and_not_kept(tmp_path, bad, n_each):
    def row(study, curve, point, i):
        return bad.format(s=f"s{study}", c=curve, t=point + 1, i=i)

    counts, megabytes = read(tmp_path, row, 40_000)
    assert counts == [40_000 * n_each, 1000, 1 + 1000 // n_each]
    assert megabytes < 15
