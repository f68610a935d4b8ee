"""The command line starts fast: what takes seconds to import waits until it is needed."""

import os
import subprocess
import sys


def test_a_run_begins_without_torch_and_matplotlib():
    program = (
        "import sys, catalog_builder.cli.program, catalog_builder.run.runs;"
        "print([name for name in ('torch', 'matplotlib', 'openTSNE') if name in sys.modules])"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert said.stdout == "[]\n", said.stderr


def test_a_notebooks_backend_for_pictures_is_not_the_programs(monkeypatch, capsys):
    from catalog_builder.cli.program import run

    monkeypatch.setenv("MPLBACKEND", "module://of_a_notebook.backend")
    monkeypatch.setattr(sys, "argv", ["catalog-builder", "--version"])
    assert run() == 0
    assert "MPLBACKEND" not in os.environ
    assert capsys.readouterr().out
