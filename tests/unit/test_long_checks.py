"""The long checks, whose page is only written where all of them ran."""

import re
from pathlib import Path

from tests.long.__main__ import PARTS, ROOT


def test_make_runs_every_part():
    (said,) = re.findall(r"^CHECKS \?= (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(said.split(",")) == set(PARTS)


def test_every_part_is_a_program():
    for arguments, _ in PARTS.values():
        name = arguments[1].replace(".", "/") + ".py" if arguments[0] == "-m" else arguments[0]
        assert (ROOT / Path(name)).is_file(), name
