"""The matched stars of all partitions become one training store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zarr

from catalog_builder.contract.contract import Contract
from catalog_builder.features.store import Block, FeatureStore, stars_of
from catalog_builder.ground.digests import digest_json
from catalog_builder.ground.errors import InputError
from catalog_builder.runtime.chunks import plan_chunks
from catalog_builder.stores.whole_store import WholeStore, named
from catalog_builder.training.design import Split
from catalog_builder.training.fit_scaling import fit_scaling
from catalog_builder.training.match import OLD_ID
from catalog_builder.training.settings import TrainingSettings
from catalog_builder.training.split import split_of
from catalog_builder.training.store import TrainingWriter, write_scaling

#: A zero-dimensional need of every model: fewer stars in a split cannot fit or calibrate anything.
MIN_STARS = {Split.FIT: 100, Split.VALIDATION: 10, Split.CALIBRATION: 10, Split.TEST: 10}


@dataclass(frozen=True)
class Matched:
    """Where the features and the matches of one partition lie, and how many there are."""

    features: Path
    matches: Path
    rows: int


@dataclass(frozen=True)
class TrainingSet:
    """What was assembled."""

    rows: int
    split_counts: dict[str, int]
    digest: str


def assemble_training(
    partitions: Sequence[Matched],
    contract: Contract,
    seed: int,
    settings: TrainingSettings,
    out: Path,
) -> TrainingSet:
    """Concatenate the labelled stars of all partitions, split them, and fit the scaling.

    Parameters
    ----------
    partitions : sequence of Matched
        In HEALPix order.
    contract : Contract
        What labels and inputs are.
    seed : int
        Seed of the split.
    settings : TrainingSettings
        Shares and chunk size.
    out : Path
        Folder of the new store; the scaling becomes an attribute of it.

    Raises
    ------
    InputError
        If there are too few labelled stars for a split.
    """
    counts = [partition.rows for partition in partitions]
    if sum(counts) == 0:
        raise InputError(
            "None of the label survey's stars that pass its cuts has usable spectra in this"
            " archive.",
            "Check that the survey's ids are of this release, give another survey with --labels,"
            " loosen its cuts in schemas/labels, or predict with a model trained elsewhere"
            " (--model).",
        )
    writer = TrainingWriter(out, sum(counts), settings.chunk_rows, contract)
    split_counts = dict.fromkeys(Split, 0)
    for chunk in plan_chunks(counts, settings.chunk_rows):
        pieces = [
            _read(partitions[piece.partition], slice(piece.start, piece.stop))
            for piece in chunk.pieces
        ]
        block = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
        block["split"] = split_of(stars_of(block), seed, settings)
        for split in Split:
            split_counts[split] += int((block["split"] == split).sum())
        writer.write(chunk.start, block)
    _check_counts(split_counts)
    named = {split.name.lower(): count for split, count in split_counts.items()}
    digests = writer.finish({"split_counts": named, "survey": settings.survey, "seed": seed})
    scaling = fit_scaling(out, settings.chunk_rows, contract).to_json()
    write_scaling(out, scaling)
    return TrainingSet(sum(counts), named, digest_json({"arrays": digests, "scaling": scaling}))


def _read(partition: Matched, part: slice) -> Block:
    with named(partition.matches, "store of matches"):
        group = zarr.open_group(WholeStore(partition.matches), mode="r")
        matched = {
            name: np.asarray(group[name][part])  # type: ignore[index]
            for name in ("row", "labels", "label_error", OLD_ID)
            if name in group
        }
    return {**FeatureStore(partition.features).read(matched.pop("row")), **matched}


def _check_counts(counts: dict[Split, int]) -> None:
    for split, least in MIN_STARS.items():
        if counts[split] < least:
            raise InputError(
                f"Only {counts[split]} labelled stars with usable spectra fall into the"
                f" {split.name.lower()} split; {least} are the least.",
                "Give a larger archive or label survey, loosen its cuts in schemas/labels, or"
                " predict with a model trained elsewhere (--model).",
            )
