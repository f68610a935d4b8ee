"""What a run makes of its alarms."""

from pathlib import Path

import pytest

from catalog_builder.ground.errors import AlarmError
from catalog_builder.inference.alarm_record import Alarm, Comparison
from catalog_builder.inference.settings import AlarmSettings
from catalog_builder.run.alarms import alarms_of, refuse_alarms, strangers
from catalog_builder.run.verdict import checked_by
from catalog_builder.verdict.settings import CheckSettings

ALARM = Alarm(about="gold", here=0.01, expected=0.4, words="1 % of the stars are of the tier gold")
NONE = Comparison(stars=900, reference=4000, tests=40)
TWO = NONE.model_copy(update={"alarms": (ALARM, ALARM)})


def test_a_strict_run_without_alarms_goes_on():
    refuse_alarms(None, None)
    refuse_alarms(NONE, Path("catalogue"))
    assert alarms_of(None) == alarms_of(NONE) == {}


def test_a_strict_run_with_alarms_says_the_first_and_that_the_catalogue_stays():
    with pytest.raises(AlarmError) as ended:
        refuse_alarms(TWO, Path("catalogue"))
    assert ended.value.exit_code == 10
    assert "1 % of the stars are of the tier gold. And 1 more." in ended.value.problem
    assert "catalogue is sealed and stays" in ended.value.problem
    with pytest.raises(AlarmError) as ended:
        refuse_alarms(TWO, None)
    assert "sealed" not in ended.value.problem


def test_a_catalogue_with_other_alarms_is_another_one():
    assert [alarm["about"] for alarm in alarms_of(TWO)["alarms"]] == ["gold", "gold"]


def test_a_catalogue_whose_checks_allow_other_things_is_another_one():
    """Checks take the alarms' tolerances; what only raises alarms changes none of them."""
    same = AlarmSettings(strict=True, strangers=0.5, false_alarm_rate=0.1)
    assert checked_by(CheckSettings(), same, {}) == {}
    other = AlarmSettings(tolerance=0.3)
    assert checked_by(CheckSettings(), other, {}) == {"alarms": {"tolerance": 0.3}}


@pytest.mark.parametrize(("lost", "asked"), [(0, 0), (0, 1100), (20, 1100)])
def test_a_few_sources_without_a_row_raise_no_alarm(lost, asked):
    assert list(strangers(lost, asked, AlarmSettings())) == []


def test_many_sources_without_a_row_are_an_alarm_whatever_the_model_knows():
    (alarm,) = strangers(70, 1100, AlarmSettings())
    assert alarm.about == "no_gaia_source_row"
    assert alarm.here == 70 / 1100
    assert "70 of 1100 sources" in alarm.words
    lines = Comparison(stars=9, not_compared="few", alarms=(alarm,)).lines()
    assert lines[0].startswith("Not compared")
    assert lines[1].startswith("ALARM: 70 of 1100")
