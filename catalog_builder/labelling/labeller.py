"""A model at work on stars that were given: which rows they get, and who gets none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.release import ReleaseSpec, load_release
from catalog_builder.catalog.origins import given_model
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.features.settings import IngestSettings
from catalog_builder.features.store import Block
from catalog_builder.ground.errors import ConfigError, InputError
from catalog_builder.inference.settings import PredictSettings
from catalog_builder.labelling.ids import pieces_of_archive, pieces_of_workdir, refuse_strange
from catalog_builder.labelling.output import made_table
from catalog_builder.labels.agreed import contract_of_model
from catalog_builder.model.locate import refuse_no_model
from catalog_builder.run.recorded import recorded_config
from catalog_builder.runtime.workdir import Workdir

if TYPE_CHECKING:
    from astropy.table import QTable

    from catalog_builder.inference.columns import Columns
    from catalog_builder.model.ensemble import Estimator

Tell = Callable[[str], None]

#: Refusals that an error names; a table has them all.
_NAMED: Final = 10


@dataclass
class Labelled:
    """Rows of the catalogue's columns, by what stars are called, and who got none and why."""

    names: list[str] = field(default_factory=list)
    parts: list[Columns] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    #: Of the refused, those whose spectra are not taken.
    errors: list[InputError] = field(default_factory=list)

    def add(self, names: Sequence[str], columns: Columns, failed: NDArray[np.bool_]) -> None:
        """Take rows, and those of them that got no finite answer."""
        for name in np.array(names, object)[failed]:
            self.refused.append(f"{name} has inputs, and the model gives no finite answer.")
        self.names += np.array(names, object)[~failed].tolist()
        self.parts.append({name: values[~failed] for name, values in columns.items()})

    def columns(self) -> Columns:
        """Return all rows together."""
        first = self.parts[0]
        return {name: np.concatenate([part[name] for part in self.parts]) for name in first}


class Labeller:
    """A model, the release that its stars are of, and the columns that come out."""

    def __init__(
        self, path: Path, release: str | Path | None, workdir: str | Path | None, say: Tell
    ) -> None:
        from catalog_builder.inference.columns import refuse_other_contract
        from catalog_builder.inference.worker_model import worker_model

        self.say = say
        self.settings, self.ingest = PredictSettings(), IngestSettings()
        self.workdir = None if workdir is None else Workdir(Path(workdir))
        if self.workdir is not None:
            self.workdir.require()
            config = recorded_config(self.workdir)
            self.settings, self.ingest = config.predict, config.ingest
            release = release or config.release
        self.release: ReleaseSpec = load_release(release or _release_of(path))
        self.model = given_model(path, self.release, say)
        self.estimator: Estimator = worker_model(path, self.model.digest)
        contract = contract_of_model(self.model.contract, self.release)
        self.schema = CatalogSchema.of(contract)
        refuse_other_contract(self.schema.contract, self.estimator.contract)
        self.seen = self.estimator.document.trained_inputs
        #: Whether the model's stars are simulated, or any of those that it labels.
        self.simulated = bool(self.model.origin.simulated)

    def answers(
        self, ids: NDArray[np.int64], blocks: Iterable[Block]
    ) -> Iterator[tuple[Columns, NDArray[np.bool_]]]:
        """Yield the columns of the stars of blocks, and which got no finite answer."""
        from catalog_builder.inference.predict import predicted
        from catalog_builder.inference.taught import Taught

        taught = Taught.of(ids, self.estimator, self.release.name)
        settings = self.settings
        return predicted(
            blocks, taught, self.estimator, self.schema, settings.batch_size, settings.galaxy
        )

    def label_ids(
        self, ids: NDArray[np.int64], archive: str | Path | None, found: Labelled
    ) -> None:
        """Label stars of an archive or a workdir."""
        refuse_strange(ids, self.release)
        if archive is not None:
            pieces = pieces_of_archive(ids, str(archive), self.release, self.ingest)
        elif self.workdir is not None:
            size = self.settings.batch_size
            pieces = pieces_of_workdir(ids, self.workdir, self.release, size)
        else:
            raise ConfigError(
                f"Stars are given by source ids alone ({ids.size}), without spectra.",
                "Say with --archive or --workdir where these are.",
            )
        place = f"the archive {archive}"
        where = place if self.workdir is None else f"the workdir {self.workdir.root}"
        missing = dict.fromkeys(ids.tolist(), f"{where} has no spectrum of it")
        for piece in pieces:
            # Stores of an earlier plan may have a star again.
            missing |= {each: why for each, why in piece.rejected.items() if each in missing}
            self.simulated |= piece.simulated
            for columns, failed in self.answers(piece.ids, piece.blocks):
                own = np.isin(columns["source_id"], list(missing))
                if own.any():
                    some = {name: values[own] for name, values in columns.items()}
                    names = [str(source) for source in some["source_id"].tolist()]
                    found.add(names, some, failed[own])
                    for source in some["source_id"].tolist():
                        missing.pop(source, None)
        found.refused += [
            f"{source}: {why.rstrip('.')}." for source, why in sorted(missing.items())
        ]

    def table(self, labelled: Labelled, ids: NDArray[np.int64]) -> QTable:
        """Return what was found, in the order that was asked for."""
        if not sum(len(part["source_id"]) for part in labelled.parts):
            if len(labelled.errors) == len(labelled.refused) == 1:
                raise labelled.errors[0]
            more = len(labelled.refused) - _NAMED
            named = "\n  ".join(labelled.refused[:_NAMED])
            raise InputError(
                f"No star was labelled.\n  {named or 'No star was given.'}"
                + (f"\n  and {more} more" if more > 0 else "")
            )
        for text in labelled.refused:
            self.say(text)
        columns, names = labelled.columns(), labelled.names
        if ids.size:
            order = _order(columns["source_id"], ids)
            columns = {name: values[order] for name, values in columns.items()}
            names = [names[row] for row in order]
        facts = (self.schema, self.model, self.release, labelled.refused)
        return made_table(names, columns, *facts, simulated=self.simulated)


def _release_of(model: Path) -> str:
    """Return the release of the stars that a model learnt from."""
    from catalog_builder.model.document import read_document
    from catalog_builder.model.origin import read_origin

    refuse_no_model(model)
    release = read_origin(read_document(model).provenance, model).release
    if release is None:
        raise ConfigError(
            f"The model {model} does not say what release its stars are of.", "Give --release."
        )
    return release


def _order(found: NDArray[np.int64], asked: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return rows in the order in which their ids were first asked for."""
    ids, first = np.unique(asked, return_index=True)
    return np.argsort(first[np.searchsorted(ids, found)], kind="stable")
