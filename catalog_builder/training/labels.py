"""A label survey's file becomes one row per star, sorted by source id."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.files import FileRef
from catalog_builder.ground.errors import InputError
from catalog_builder.labels.crossmatch import read_crossmatch
from catalog_builder.labels.read import read_labels, resolve_duplicates
from catalog_builder.labels.survey import LabelSurvey

#: Column of names, in stores of labels and of matches.
NAME: Final = "name"


def as_codes(names: NDArray[np.bytes_]) -> NDArray[np.uint8]:
    """Return texts of n bytes as codes, (n, characters): zarr has no type for them."""
    return names.view(np.uint8).reshape(names.size, names.itemsize)


def as_names(codes: NDArray[np.uint8]) -> NDArray[np.bytes_]:
    """Return the texts of codes."""
    return np.ascontiguousarray(codes).view(f"S{codes.shape[1]}")[:, 0]


@dataclass(frozen=True)
class SurveyLabels:
    """The stars of a survey that passed its cuts.

    Attributes
    ----------
    columns : dict of str to ndarray
        ``source_id`` (n,), ascending; ``labels`` and ``label_error`` (n, l) in the order of the
        survey's labels, NaN where missing; ``snr`` (n,); ``name`` (n, characters), as codes, where
        the survey has names of its own.
    rows_in : int
        Rows of the file.
    rejected : dict of str to int
        Rows left out, by cut or reason.
    label_nulls : dict of str to int
        Labels made null, by cut.
    """

    columns: dict[str, NDArray[Any]]
    rows_in: int
    rejected: dict[str, int]
    label_nulls: dict[str, int]


#: Why a star of the survey has no place in the archive, beside the survey's own reasons.
NO_CROSSMATCH: Final = "no_crossmatch"


def collect_labels(
    file: FileRef, survey: LabelSurvey, crossmatch: FileRef | None = None
) -> SurveyLabels:
    """Read a survey: memory holds its good stars (60 bytes each), not its file.

    Parameters
    ----------
    file : FileRef
        The survey's table.
    survey : LabelSurvey
        What is in it.
    crossmatch : FileRef, optional
        Of a survey with identifiers of its own: the table that says whose they are.

    Raises
    ------
    InputError
        If the file is not as the survey's description says.
    """
    blocks: dict[str, list[NDArray[Any]]] = {}
    rows_in = 0
    rejected: Counter[str] = Counter()
    nulls: Counter[str] = Counter()
    for block in read_labels(file, survey):
        rows_in += block.n_read
        rejected.update(block.rejected)
        nulls.update(block.label_nulls)
        for name in ("source_id", "labels", "label_error", "snr"):
            blocks.setdefault(name, []).append(getattr(block, name))
        if survey.identifier is not None:
            blocks.setdefault(NAME, []).append(as_codes(block.names))
    columns = {name: np.concatenate(parts) for name, parts in blocks.items()}
    if survey.crossmatch is not None and crossmatch is not None:
        pairs = read_crossmatch(crossmatch, survey.crossmatch)
        columns["source_id"] = pairs.translate(columns["source_id"])
        known = columns["source_id"] > 0
        _refuse_strangers(file, crossmatch, known)
        rejected[NO_CROSSMATCH] += int((~known).sum())
        columns = {name: values[known] for name, values in columns.items()}
    kept = resolve_duplicates(columns["source_id"], columns["snr"])
    rejected["duplicate_observation"] += columns["source_id"].size - kept.size
    columns = {name: values[kept] for name, values in columns.items()}
    return SurveyLabels(columns, rows_in, dict(+rejected), dict(+nulls))


def _refuse_strangers(file: FileRef, crossmatch: FileRef, known: NDArray[np.bool_]) -> None:
    """Refuse a table of pairs that knows none of the survey's stars: it is that of another one."""
    if known.size and not known.any():
        raise InputError(
            f"{crossmatch.url} has none of the {known.size} stars of {file.url}.",
            "Are both of one survey? If so, both must write its identifiers in one way: as numbers"
            " or as words. `crossmatch.own` of the survey's description says which column holds"
            " them.",
        )
