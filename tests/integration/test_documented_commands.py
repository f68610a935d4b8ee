"""What the documentation tells people to type does what it says.

Every command of README.md and docs/ is run on a small finished run, but for those of the table
below, which need what a test has not got: they are only taken apart by the real command line, so
that a wrong subcommand, option or value is found. A command that is in neither is run.
"""

import io
import shutil
import sys

import numpy as np
import pytest
import typer
from astropy.table import Table

from catalog_builder import cli, open_catalog
from catalog_builder.archive.release import load_release
from catalog_builder.cli.program import app  # with its commands
from catalog_builder.contract.grids import to_vacuum
from catalog_builder.ground.resources import schemas_dir
from catalog_builder.inspecting.triplet import TRIPLET
from catalog_builder.run.config import load_config
from catalog_builder.simulate.sky import simulate
from tests.integration.conftest import QUICK, model_of
from tests.integration.documented import Command, all_commands, commands_of, python_blocks

NETWORK = "it brings files from the published archive"
SLURM = "it needs Slurm and a site's description (make test-cluster runs such)"
CONTAINER = "it is given inside a container (make test-image runs such)"
TWIN = "the same with other numbers is run: a sky takes some seconds"
LATER = "it needs an archive of a later release (test_crossing.py runs such)"
REHEARSAL = "it needs an archive of a later release (make rehearsal runs such)"
DEMO = "it simulates an archive of its own, and trains (test_data_only.py runs a small one)"
NOTEBOOK = "the notebook writes this file, and does the same in Python (test_tutorials.py)"
NOT_RUN = {
    "run --release dr3-demo --workdir demo-workdir": DEMO,
    "run --release dr3-demo --workdir trial --set demo.stars=900 --set model.epochs=30"
    " --set model.members=2 --set model.folds=0 --set model.min_label_stars=100": DEMO,
    "inspect ARCHIVE --release rave-dr6 --draft mine.yaml": REHEARSAL,
    "simulate --release rave-dr6 --stars 6000 --out SKY": TWIN,
    "inspect ARCHIVE --release dr4 --draft dr4-found.yaml": REHEARSAL,
    "doctor ARCHIVE --release dr4-found.yaml": REHEARSAL,
    "run --release dr4-found.yaml --archive ARCHIVE --labels allStar-dr17-synspec_rev1.fits"
    " --workdir dr4 --ranges 000000-003111": REHEARSAL,
    "crosswalk dr4/catalogs/dr4 --archive ARCHIVE --release dr4-found.yaml"
    " -o crosswalk.csv": REHEARSAL,
    "drift work/catalogs/dr3 dr4/catalogs/dr4 --crosswalk crosswalk.csv": REHEARSAL,
    "run --release NEW --archive NEW_ARCHIVE"
    " --labels OLD_ARCHIVE/apogee/allStar-dr17-synspec_rev1.fits": LATER,
    "crosswalk CATALOGUE --archive NEW_ARCHIVE --release NEW -o table.csv": LATER,
    "recalibrate MODEL --release NEW --archive NEW_ARCHIVE --workdir NEW_WORK": LATER,
    "run --model MODEL --recalibrate --release NEW --archive NEW_ARCHIVE": LATER,
    "simulate --out ARCHIVE --stars 20000": TWIN,
    "simulate --clean --stars 6000 --out CLEAN": TWIN,  # and what it makes is read below
    "simulate --release dr3 --stars 3000 --seed 7 --out sky": TWIN,
    "simulate --stars 6000 --sources-without-spectra 60000 --out SKY": TWIN,
    "simulate --clean --seed 17 --stars 20000 --sources-without-spectra 200000 --out SKY": TWIN,
    "fetch --out ARCHIVE --release dr3 --ranges 000000-003111 --labels apogee-dr17": NETWORK,
    "fetch --out /shared/gaia --release dr3 --ranges 000000-003111 --labels apogee-dr17": NETWORK,
    "run --cluster slurm": SLURM,
    "run --config site.yaml ...": SLURM,
    "doctor --config site.yaml --workdir /shared/me/dr3": SLURM,
    "run --config site.yaml --archive /shared/gaia --workdir /shared/me/dr3 --dry-run": SLURM,
    "run --config site.yaml --archive /shared/gaia --workdir /shared/me/dr3": SLURM,
    "status --workdir /shared/me/dr3": SLURM,
    "run --archive /archive --workdir /workdir": CONTAINER,
    "run --archive /scratch/gaia --workdir /scratch/work": CONTAINER,
    "doctor --workdir /workdir": CONTAINER,
    "doctor --cluster kubernetes --set cluster.kubernetes.manifests=my-run": "it needs kubectl",
    "drift OLD NEW --crosswalk crosswalk.parquet": "it needs catalogues of two releases",
    "label mine.fits --model MODEL --medium air --normalisation continuum"
    " --radial-velocity 40": NOTEBOOK,
    "status --workdir /workdir": "it is given inside a pod (make test-kubernetes runs such)",
}
#: Commands that may end otherwise here: the network of these tests is hardly trained.
ENDINGS = {"validate work/catalogs/dr3 --science": (0, 11)}
COMMANDS = all_commands()
IN_FULL = [command for command in COMMANDS if not command.is_mention]
RUN = [command for command in IN_FULL if command.text not in NOT_RUN]
#: What a reader puts in place of these; other names are those of the folder `place`.
A_SOURCE = "14746787390685312"


def parse(arguments):
    """Have the real command line take arguments apart; nothing is done."""
    group = typer.main.get_command(app)
    context = group.context_class(group, info_name="catalog-builder")
    name, command, rest = group.resolve_command(context, list(arguments))
    return command.make_context(name, rest, parent=context).params


@pytest.fixture(scope="module")
def place(finished, archive, tmp_path_factory):
    """A folder in which the names that the documentation uses are there."""
    folder = tmp_path_factory.mktemp("reader")
    shutil.copytree(finished, folder / "work")
    for name in ("W", "demo-workdir"):
        (folder / name).symlink_to("work")
    (folder / "ARCHIVE").symlink_to(archive)
    for name in ("OLD", "NEW"):
        (folder / name).symlink_to("work/catalogs/dr3")
    (folder / "MODEL").symlink_to(model_of(finished))
    simulate("dr3", 100, 1, folder / "CLEAN", clean=True)
    ids = open_catalog(folder / "NEW").source_id.values[:5]
    Table({"source_id": ids}).write(folder / "stars.csv")
    write_spectra(folder)
    tables_of_others(folder)
    return folder


def write_spectra(folder):
    """Write a spectrum of another instrument, and one as DataLink gives it."""
    grid = load_release("dr3").spectra["rvs"].grid.nanometres()
    wave = np.arange(8440.0, 8720.0, 0.2)
    flux, own = (
        1 - 0.6 * np.exp(-(((x - TRIPLET[:, None]) / 0.09) ** 2)).sum(0)
        for x in (grid, to_vacuum(wave / 10, "air"))
    )
    Table({"wavelength": wave, "flux": 5 * own, "snr": np.full(wave.size, 80.0)}).write(
        folder / "spectrum.fits"
    )
    Table({"wavelength": grid, "flux": flux, "flux_error": np.full(grid.size, 0.01)}).write(
        folder / "RVS-Gaia DR3 4268620287278693120.csv"
    )


def tables_of_others(folder):
    """Write the tables that `compare` and `clusters` are shown with."""
    stars = open_catalog(folder / "work" / "catalogs" / "dr3").source_id.values.tolist()
    teff = [f"{star},5000,50" for star in stars]
    (folder / "benchmarks.csv").write_text("\n".join(["source_id,teff,e_teff", *teff]) + "\n")
    rows = [f"{star},NGC_{place % 2},0.9" for place, star in enumerate(stars)]
    (folder / "members.csv").write_text("\n".join(["source_id,cluster,probability", *rows]) + "\n")
    (folder / "literature.csv").write_text("cluster,m_h,e_m_h\nNGC 1,0.0,0.1\n")


def filled_in(command, place, archive, site, new_sky):
    """Return the arguments with a reader's own values, and a test's patience."""
    source = str(int(open_catalog(place / "work" / "catalogs" / "dr3").source_id[3]))
    own = {"/data/gaia": str(archive), "SOURCE_ID": source, A_SOURCE: source}
    arguments = [own.get(part, part) for part in command.arguments]
    if arguments[0] == "run":
        arguments += [part for each in QUICK for part in ("--set", each)]
        arguments += ["--cluster", site.address]
        arguments += [] if "--archive" in arguments else ["--archive", str(archive)]
    if arguments[0] == "simulate":  # the last one counts
        described = str(schemas_dir() / "releases" / "dr3.yaml")
        arguments = [described if part == "FILE" else part for part in arguments]
        arguments += ["--stars", "100", "--workers", "1", "--out", str(new_sky)]
    return arguments


@pytest.mark.parametrize("command", RUN, ids=lambda command: command.text)
def test_a_documented_command_does_its_work(
    command, place, archive, site, tmp_path, monkeypatch, capsys
):
    arguments = filled_in(command, place, archive, site, tmp_path / "sky")
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "argv", ["catalog-builder", *arguments])
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr()
    assert end.value.code in ENDINGS.get(command.text, (0,)), said.err
    assert said.out.strip()
    assert "error" not in said.err or end.value.code
    assert "Traceback" not in said.err


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.text)
def test_a_documented_command_is_understood(command):
    if command.is_mention:
        assert command.arguments[0] in typer.main.get_command(app).commands
        return
    arguments = [A_SOURCE if part == "SOURCE_ID" else part for part in command.arguments]
    found = parse(arguments)
    # Settings have names and values of their own, which the options do not know.
    load_config(None, found.get("assignments") or [], {})


def test_the_table_names_only_what_is_documented():
    assert NOT_RUN.keys() <= {command.text for command in IN_FULL}
    assert len(RUN) >= 10


@pytest.mark.parametrize("page", sorted(python_blocks()))
def test_the_python_of_a_page_runs_from_top_to_bottom(page, place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    namespace = {"__name__": page}
    for block in python_blocks()[page]:
        code = block.replace("tiers = (1, 2)", "tiers = (1, 2, 3)")  # so small a model has no gold
        exec(compile(code, page, "exec"), namespace)


# --- that this can fail ---------------------------------------------------------------------------

PAGE = """Text with `catalog-builder status
--workdir W` and `catalog-builder doctor`, `catalog-builder` alone.

```sh
catalog-builder run --release dr3 \\
    --archive A    # a remark
podman run x/catalog-builder:cpu status --json
cat /usr/share/catalog-builder/sbom
pip install gaia-catalog-builder
```
"""


def test_commands_are_found_wherever_they_stand():
    assert {command.text for command in commands_of(PAGE, "page")} == {
        "status --workdir W",
        "doctor",
        "run --release dr3 --archive A",
        "status --json",
    }


@pytest.mark.parametrize(
    "arguments",
    ["rum", "run --workdri W", "explain", "simulate --stars 3 --out x", "run --workers many"],
)
def test_a_wrong_command_is_not_understood(arguments):
    with pytest.raises(Exception, match=r"(?i)no such|missing|input should be"):
        parse(Command("page", arguments, shell=True).arguments)
