"""The command line starts fast: what takes seconds to import waits until it is needed."""

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
