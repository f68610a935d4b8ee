"""The command line in this process."""

import io
import sys
from dataclasses import dataclass

import pytest

from catalog_builder import cli


@dataclass(frozen=True)
class Answer:
    """What a person gets: exit code, output, errors."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(monkeypatch, capsys):
    """Return a function that gives a command and returns its answer; `typed` is the terminal's."""

    def give(*arguments, typed=""):
        monkeypatch.setattr(sys, "argv", ["catalog-builder", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        answer = Answer(end.value.code or 0, *capsys.readouterr())
        assert "Traceback" not in answer.err
        assert "defect" not in answer.err
        return answer

    return give
