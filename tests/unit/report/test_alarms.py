"""Alarms stand on top of the report."""

from catalog_builder.inference.alarm_record import Alarm, Comparison
from catalog_builder.report.alarms import alarm_banner

FOUND = Comparison(
    stars=900,
    reference=4000,
    tests=40,
    alarms=(Alarm(about="gold", here=0.01, expected=0.4, words="1 % are <gold>"),),
)


def test_alarms_are_a_banner_and_no_alarm_is_none():
    banner = alarm_banner({"alarms": FOUND.model_dump(mode="json")})
    assert "<li>1 % are &lt;gold&gt;</li>" in banner
    assert 'class="banner"' in banner
    none = FOUND.model_copy(update={"alarms": ()})
    for record in ({}, {"alarms": None}, {"alarms": none.model_dump(mode="json")}):
        assert alarm_banner(record) == ""
