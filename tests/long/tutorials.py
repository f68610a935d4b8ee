"""The notebooks of docs/tutorials from top to bottom, on a demo run, as a reader runs them.

    python -m tests.long.tutorials [--workdir demo-workdir] [--write]

Without ``--workdir`` a demo run is made, which takes three minutes. ``--write`` keeps the output in
the notebooks, for the site and the repository to show: look at it before you commit it.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

from tests.integration.documented import NEEDS

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "tutorials").glob("*.ipynb"))


def make_demo(folder: Path) -> None:
    """Do what ``make demo`` does."""
    command = [sys.executable, "-m", "catalog_builder.cli", "run", "--release", "dr3-demo"]
    subprocess.run([*command, "--workdir", str(folder), "--quiet"], check=True)


def run(notebook: Path, demo: Path, *, write: bool) -> int:
    """Run a notebook beside a copy of a demo run; return how many cells of code it has.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell fails.
    """
    book = nbformat.read(notebook, as_version=4)
    with tempfile.TemporaryDirectory() as place:
        shutil.copytree(demo, Path(place) / "demo-workdir")
        # Sockets of this machine's files, not of its network, which others could listen to.
        config = Config({"KernelManager": {"transport": "ipc", "ip": f"{place}/kernel"}})
        client = NotebookClient(
            book, config=config, timeout=600, resources={"metadata": {"path": place}}
        )
        client.record_timing = False
        client.execute()
    if write:
        for cell in book.cells:
            cell.metadata.pop("execution", None)
            if "outputs" in cell:  # warnings name folders of the machine
                cell.outputs = [each for each in cell.outputs if each.get("name") != "stderr"]
        book.metadata = {key: book.metadata[key] for key in ("kernelspec",)}
        book.metadata["language_info"] = {"name": "python"}
        nbformat.write(book, notebook)
    return sum(cell.cell_type == "code" for cell in book.cells)


def main() -> int:
    """Run all notebooks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", type=Path, help="a finished demo run; else one is made")
    parser.add_argument("--write", action="store_true", help="keep the output in the notebooks")
    parser.add_argument("--only", default="", help="name of one notebook")
    asked = parser.parse_args()
    # Notebooks call `catalog-builder` as a reader does: the one that belongs to this Python.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    os.environ |= {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "TERM": "dumb"}
    chosen = [path for path in NOTEBOOKS if asked.only in ("", path.stem)]
    with tempfile.TemporaryDirectory() as folder:
        demo = asked.workdir or Path(folder) / "demo-workdir"
        if asked.workdir is None:
            make_demo(demo)
        for notebook in chosen:
            if importlib.util.find_spec(NEEDS.get(notebook.stem, "os")) is None:
                print(f"{notebook.stem}: passed over, {NEEDS[notebook.stem]} is not installed")
                continue
            cells = run(notebook, demo.resolve(), write=asked.write)
            print(f"{notebook.stem}: {cells} cells of code ran", flush=True)
    print(f"{len(chosen)} notebooks ran from top to bottom")
    return 0


if __name__ == "__main__":
    sys.exit(main())
