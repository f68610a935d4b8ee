"""A sky of known truth, in the files of one release or of two: `simulate`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from catalog_builder.cli.app import app
from catalog_builder.cli.options import Workers
from catalog_builder.ground.errors import ConfigError
from catalog_builder.ground.extras import refuse_without_run
from catalog_builder.runtime.workdir import remove_tree

if TYPE_CHECKING:
    from distributed import Client

#: What writes a sky, and tells how many partitions of how many are done; returns what to print.
_Work = Callable[["Client", Callable[[int, int], None]], str]
#: Options that say nothing without --twin-of, and what they are when they are not given.
_OF_TWINS: Mapping[str, object] = {
    "layout": "regions",
    "normalisation": "brightness",
    "changed": 0.05,
    "split": 0.01,
    "merged": 0.01,
    "trap": (),
}


@app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="New folder for the archive.")],
    release: Annotated[str, typer.Option(help="Release whose formats are written.")] = "dr3",
    stars: Annotated[int, typer.Option(min=100, help="Stars of the sky.")] = 6000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all that is drawn.")] = 1,
    clean: Annotated[
        bool, typer.Option("--clean", help="Leave out what is wrong on purpose: for other readers.")
    ] = False,
    alpha_untied: Annotated[
        bool, typer.Option("--alpha-untied", help="Draw [alpha/M] independently of [M/H].")
    ] = False,
    sources_without_spectra: Annotated[
        int,
        typer.Option(min=0, help="About how many other sources, up to G = 20, gaia_source has."),
    ] = 0,
    twin_of: Annotated[
        str | None,
        typer.Option(metavar="RELEASE", help="The same stars in this older release, too."),
    ] = None,
    layout: Annotated[
        str, typer.Option(help="With --twin-of: `regions` (Parquet) or `ranges` (text).")
    ] = "regions",
    normalisation: Annotated[
        str, typer.Option(help="With --twin-of, of RVS: by `brightness`, as DR3's, or `median`.")
    ] = "brightness",
    changed: Annotated[
        float, typer.Option(help="With --twin-of: share of sources with another id.")
    ] = 0.05,
    split: Annotated[
        float, typer.Option(help="With --twin-of: share of sources that are two now.")
    ] = 0.01,
    merged: Annotated[
        float, typer.Option(help="With --twin-of: share of sources that took in another.")
    ] = 0.01,
    trap: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="With --twin-of: what the archive gets wrong; repeatable."
        ),
    ] = None,
    workers: Workers = None,
) -> None:
    """Write a simulated sky with known truth, in the archive's own files and formats."""
    refuse_without_run("A simulated sky")
    typer.echo(f"Simulating {stars} stars into {out} ...", err=True)
    given = {
        "layout": layout,
        "normalisation": normalisation,
        "changed": changed,
        "split": split,
        "merged": merged,
        "trap": tuple(trap or ()),
    }
    if twin_of is not None and sources_without_spectra:
        raise ConfigError(
            "--sources-without-spectra is of one release, and --twin-of of two.",
            "Leave one of them out.",
        )
    if twin_of is not None and alpha_untied:
        raise ConfigError(
            "--alpha-untied is of one release, and --twin-of of two.", "Leave one of them out."
        )
    sky = {"clean": clean, "without_spectra": sources_without_spectra, "untied": alpha_untied}
    work = (
        _one(release, stars, seed, out, sky, given=given)
        if twin_of is None
        else _two(release, twin_of, stars, seed, out, clean=clean, given=given)
    )
    typer.echo(_on_workers(work, stars, out, workers))


def _one(
    release: str,
    stars: int,
    seed: int,
    out: Path,
    sky: Mapping[str, Any],
    *,
    given: Mapping[str, object],
) -> _Work:
    """Return what writes one archive, and refuse what can be refused without a cluster."""
    from catalog_builder.simulate.sky import plan_sky
    from catalog_builder.simulate.sky import simulate as simulate_sky

    for option, value in given.items():
        if value != _OF_TWINS[option]:
            raise ConfigError(
                f"--{option} says how a release differs from an older one.",
                "Name that with --twin-of, such as --release dr4 --twin-of dr3.",
            )
    plan_sky(release, stars, seed, out, **sky)

    def work(client: Client, on_partition: Callable[[int, int], None]) -> str:
        made = simulate_sky(*(release, stars, seed, out, client), **sky, on_partition=on_partition)
        return (
            f"{made.stars} stars in {made.partitions} partitions, {made.label_rows} label rows:\n"
            f"{_rows(made.rows)}\n"
            f"Archive: {out}, marked as simulated; its truth: {out / 'truth'}"
        )

    return work


def _two(
    release: str,
    older: str,
    stars: int,
    seed: int,
    out: Path,
    *,
    clean: bool,
    given: Mapping[str, object],
) -> _Work:
    """Return what writes the archives of two releases."""
    from catalog_builder.simulate.twin.recipe import recipe_of
    from catalog_builder.simulate.twin.sky import plan_twins, simulate_two

    recipe = recipe_of(given)
    plan_twins(release, older, stars, seed, out, recipe, clean=clean)

    def work(client: Client, on_partition: Callable[[int, int], None]) -> str:
        made = simulate_two(
            release,
            older,
            stars,
            seed,
            out,
            recipe,
            client,
            clean=clean,
            on_partition=on_partition,
        )
        traps = f"\nTraps, which it does not say: {', '.join(recipe.traps)}" if recipe.traps else ""
        return (
            f"{made.older.stars} stars in {made.older.partitions} partitions,"
            f" {made.older.label_rows} label rows.\n"
            f"{made.older_archive}, marked as simulated:\n{_rows(made.older.rows)}\n"
            f"{made.later_archive}, marked as simulated:\n{_rows(made.rows)}\n"
            f"Description of the latter: {made.description}{traps}"
        )

    return work


def _rows(rows: Mapping[str, int]) -> str:
    return "\n".join(f"  {table:<28} {count:>12,}" for table, count in rows.items())


def _on_workers(work: _Work, stars: int, out: Path, workers: int | None) -> str:
    """Do it in a new folder, which is left empty or gone if it does not end well."""
    import tempfile

    from catalog_builder.runtime.clusters.registry import make_cluster
    from catalog_builder.runtime.clusters.settings import ClusterSettings
    from catalog_builder.runtime.events import Events
    from catalog_builder.runtime.signals import termination_as_interrupt
    from catalog_builder.runtime.workdir import Workdir
    from catalog_builder.simulate.sky import partitions_of

    with (
        termination_as_interrupt("Interrupted; nothing of it is left."),
        _whole_or_nothing(out),
        tempfile.TemporaryDirectory(prefix="catalog-builder-") as scratch,
        make_cluster(ClusterSettings(workers=workers), Workdir(Path(scratch))) as cluster,
        Events(None).meter("simulate", partitions_of(stars)) as meter,
    ):
        return work(cluster.client, lambda done, _total: meter.show(done, None, "partitions"))


@contextmanager
def _whole_or_nothing(folder: Path) -> Iterator[None]:
    """Make a new or empty folder, and leave nothing in it if the body does not end well."""
    from catalog_builder.simulate.sky import make_out

    there = folder.is_dir()
    empty = not any(folder.iterdir()) if there else not folder.exists()
    make_out(folder)
    try:
        yield
    except BaseException:
        if empty and there:
            for path in folder.iterdir():
                remove_tree(path)
        elif empty:
            remove_tree(folder)
        raise
