"""The notebooks of docs/tutorials run on a small finished run, cell by cell.

`make check-long` runs them as a reader does, on a whole demo, cells tagged `long` included.
"""

import re
import shlex
import shutil
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from catalog_builder import cli
from tests.integration.conftest import QUICK
from tests.integration.documented import NEEDS, NOTEBOOKS, cells_of, name_of


@pytest.fixture
def reader(finished, archive, tmp_path, monkeypatch):
    """Stand in a folder with what `make demo` leaves."""
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    shutil.copytree(finished, tmp_path / "demo-workdir")
    (tmp_path / "demo-workdir" / "archive-dr3").symlink_to(archive)
    monkeypatch.chdir(tmp_path)
    before = mpl.get_backend()
    mpl.use("agg")
    yield tmp_path
    plt.close("all")
    mpl.use(before)


def test_there_are_notebooks():
    assert {"map", "cuts", "crossmatch", "release", "selection", "spectra"} <= {
        notebook.stem for notebook in NOTEBOOKS
    }


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=name_of)
def test_a_notebook_runs_from_top_to_bottom(notebook, reader, site, monkeypatch):
    if notebook.stem in NEEDS:
        pytest.importorskip(NEEDS[notebook.stem])

    def shell(line, names):
        """Give a command as a notebook does: `{model}` is a variable, `>` leads to a file."""
        line = re.sub(r"\{(\w+)\}", lambda match: str(names[match[1]]), line)
        arguments, _, out = line.partition(" > ")
        said = shlex.split(arguments)
        if said[1] == "run":
            said = [*said, *(part for one in QUICK for part in ("--set", one))]
            said += ["--cluster", site.address]
        monkeypatch.setattr(sys, "argv", said)
        with (
            Path(out or "said.txt").open("w") as file,
            redirect_stdout(file),
            pytest.raises(SystemExit) as end,
        ):
            cli.main()
        assert end.value.code == 0, line

    namespace = {"__name__": notebook.stem, "shell": shell}
    for cell in cells_of(notebook, "code"):
        code = cell.replace("tiers = (1, 2)", "tiers = (1, 2, 3)")  # so small a model has no gold
        code = re.sub(r"^!(.*)$", lambda line: f"shell({line[1]!r}, globals())", code, flags=re.M)
        exec(compile(code, notebook.name, "exec"), namespace)
