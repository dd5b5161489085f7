"""What the tests of the checks share: an audit of a few records, and its findings of one check."""

import pytest

from netsynth.audit import audit
from netsynth.data.number import ReportedNumber
from netsynth.data.study import Group
from netsynth.data.survival import ReportedSurvival


@pytest.fixture
def find():
    """Findings of one check in some records."""

    def found(check, *records):
        return audit(records).select(check=check)

    return found


@pytest.fixture
def tally():
    """How often a check was made and found something, and why it could not be made."""

    def counted(check, *records):
        for count in audit(records).counts:
            if count.check == check:
                return count.n_checked, count.n_found, dict(count.not_checkable)
        return None

    return counted


@pytest.fixture
def curve():
    """Percentages at years, of n patients."""

    def made(years, percent, n=None, endpoint="OS", study="A", group=None, **more):
        if group is not None and not isinstance(group, Group):
            group = Group(group, "arm", n)
        if group is None:
            group = Group(n_total=n)
        return ReportedSurvival.from_percent(
            study, endpoint, years=years, percent=percent, group=group, **more
        )

    return made


@pytest.fixture
def percent():
    return lambda text, qualifier="=": ReportedNumber(text, "percent", qualifier)
