"""The long checks, and the page on which each part that ran writes its line."""

import re
from pathlib import Path

from tests.long.__main__ import PARTS, ROOT, Result, in_words


def test_make_runs_every_part():
    (said,) = re.findall(r"^CHECKS \?= (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(said.split(",")) == set(PARTS)


def test_every_part_is_a_program():
    for arguments, _ in PARTS.values():
        name = arguments[1].replace(".", "/") + ".py" if arguments[0] == "-m" else arguments[0]
        assert (ROOT / Path(name)).is_file(), name


def test_lines_of_parts_that_did_not_run_stay():
    page = (ROOT / "docs" / "check-long.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| skies")]
    made = in_words([Result("alarms", False, "2 alarms", 3.2)], page)
    assert "**not good**: 2 alarms" in made
    assert [line for line in made.splitlines() if line.startswith("| skies")] == rows != []
    assert in_words([], made) == made
