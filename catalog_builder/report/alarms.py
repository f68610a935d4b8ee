"""What stands on top of the report where the stars are far from those the model was made for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from catalog_builder.inference.alarm_record import Comparison
from catalog_builder.report.html import text


def alarm_banner(record: Mapping[str, Any]) -> str:
    """Return the alarms of a catalogue as a banner; nothing where there are none.

    Parameters
    ----------
    record : mapping
        The facts of ``RELEASE.json``.
    """
    if record.get("alarms") is None:
        return ""
    found = Comparison.model_validate(record["alarms"])
    if not found.alarms:
        return ""
    items = "".join(f"<li>{text(alarm.words)}</li>" for alarm in found.alarms)
    return (
        '<div class="banner" role="note"><strong>Far from the stars that the model was made'
        f" for.</strong> <ul>{items}</ul></div>\n"
    )
