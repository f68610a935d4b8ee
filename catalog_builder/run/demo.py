"""The demonstration: a small simulated sky to run on, and the catalogue beside its truth."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from distributed import Client

from catalog_builder.archive.marks import MARK_FILE
from catalog_builder.archive.release import load_release
from catalog_builder.contract.description import Description
from catalog_builder.ground.errors import CatalogueError, ConfigError
from catalog_builder.labels.agreed import DEFAULT_SURVEY
from catalog_builder.labels.survey import load_survey
from catalog_builder.run.config import DEMO_SUFFIX, RunConfig
from catalog_builder.runtime.events import Events
from catalog_builder.runtime.workdir import Workdir, remove_tree
from catalog_builder.simulate.simulation import survey_of


def is_demo(config: RunConfig) -> bool:
    """Say whether the run makes its own archive."""
    return config.release.endswith(DEMO_SUFFIX)


def simulated(
    config: RunConfig, workdir: Path, client: Callable[[], Client], events: Events
) -> RunConfig:
    """Simulate the archive of a demonstration, unless an earlier run did, and point the run at it.

    Parameters
    ----------
    config : RunConfig
        With a release such as ``dr3-demo``.
    workdir : Path
        The sky goes into a folder ``archive-...`` below it.
    client : callable
        Returns a Dask client; called only when there is something to simulate.
    events : Events
        Told when there is, and how far it is.

    Returns
    -------
    RunConfig
        The same with the real release's name and the simulated archive.

    Raises
    ------
    ConfigError
        If the release is not known, or an archive is given.
    """
    from catalog_builder.simulate.sky import partitions_of, simulate

    ready = _on_its_own_archive(config, workdir)
    release, archive = ready.release, Path(str(ready.archive))
    if not archive.exists():
        unfinished = Workdir(workdir).unfinished_archive
        remove_tree(unfinished)
        partitions = partitions_of(config.demo.stars)
        events.say(f"Before the first step: simulating a sky of {config.demo.stars} stars ...")
        there = client()
        with events.meter("simulate", partitions) as meter:
            simulate(
                release,
                config.demo.stars,
                config.demo.seed,
                unfinished,
                there,
                survey=config.training.survey,
                on_partition=lambda done, _total: meter.show(done, None, "partitions"),
            )
        unfinished.rename(archive)
    # A sky that version 0.1.0 simulated has no mark, only its truth.
    if not (archive / MARK_FILE).exists():
        shutil.copyfile(archive / "truth" / "about.json", archive / MARK_FILE)
    return ready


def simulated_already(config: RunConfig, workdir: Path) -> RunConfig | None:
    """Return what :func:`simulated` would, where an earlier run made the sky; None elsewhere.

    Raises
    ------
    ConfigError
        If the release is not known, or an archive is given.
    """
    ready = _on_its_own_archive(config, workdir)
    return ready if Path(str(ready.archive)).exists() else None


def _on_its_own_archive(config: RunConfig, workdir: Path) -> RunConfig:
    name = config.release.removesuffix(DEMO_SUFFIX)
    if config.archive is not None:
        raise ConfigError(
            f"{config.release} simulates an archive of its own: --archive {config.archive} would"
            " not be read.",
            f"Leave --archive out, or take --release {name}.",
        )
    release = load_release(name)  # before a cluster is opened to simulate it
    known = survey_of(release.name, config.training.survey)
    training = config.training.model_copy(update={"survey": known})
    config = config.model_copy(update={"training": training})
    # Another sky is another folder: an old one is never taken for it.
    about = [_called(name, release), str(config.demo.stars), str(config.demo.seed)]
    if config.training.survey != DEFAULT_SURVEY:
        survey = load_survey(config.training.survey)
        about.insert(1, _called(config.training.survey, survey))
    archive = workdir / f"archive-{'-'.join(about)}"
    return config.model_copy(update={"release": name, "archive": str(archive)})


def _called(name: str, description: Description) -> str:
    """Return what stands for a description in a folder's name: of a file, with its content."""
    if Path(name).suffix not in {".yaml", ".yml"}:
        return name
    content = description.model_dump_json().encode()
    return f"{Path(name).stem}-{hashlib.sha256(content).hexdigest()[:8]}"


def compare_with_truth(catalogue: Path, archive: Path, echo: Callable[[str], None]) -> None:
    """Say how the catalogue compares with the truth.

    Raises
    ------
    CatalogueError
        If the 68 % coverage of a label is not between 60 and 76 %: its sigmas are not to be
        trusted, and the demonstration has failed.
    """
    from catalog_builder.catalog.open import open_catalog, schema_of
    from catalog_builder.simulate.score import read_truth, score, score_in_words

    dataset, truth = open_catalog(catalogue), archive / "truth"
    # A network is closer to the stars it has learnt from than it says, or will be to any other.
    labelled = read_truth(truth).filter(pl.col("in_apogee"))["source_id"].to_numpy()
    unseen = ~np.isin(dataset["source_id"].values, labelled)
    found = score(dataset, truth, where=unseen, flags=schema_of(catalogue).flags)
    echo("\nStars without labels in the survey, which the model has never seen:\n")
    echo(score_in_words(found))
    outside = [label.name for label in found.labels if not 0.60 <= label.coverage_68 <= 0.76]
    if outside:
        raise CatalogueError(
            f"The 68 % coverage of {', '.join(outside)} is not between 60 and 76 %.",
            "Look at the report; more stars (demo.stars) or epochs (model.epochs) may help.",
        )
