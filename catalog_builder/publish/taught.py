"""The table of those that taught: what their survey calls them, its labels, and what they did.

They are few. The task of a chunk says who they are among its rows, and the seal writes them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.contract.columns import Column
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.contract.side_table import SOURCE_ID, TRAINING_LABELS, SideTable
from catalog_builder.labels.read import NAME_LENGTH
from catalog_builder.labels.survey import LabelSurvey

_NAME: Final = "survey_id"
_SPLIT: Final = "training_split"

Rows = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class LabelledRows:
    """What a survey says of some rows of a chunk: (n,), twice (n, labels), and its names, (n,)."""

    rows: NDArray[np.int64]
    labels: NDArray[np.float64]
    errors: NDArray[np.float64]
    names: NDArray[np.bytes_] | None = None
    #: Names of the labels.
    order: tuple[str, ...] = ()


def taught_table(survey: LabelSurvey, schema: CatalogSchema) -> SideTable | None:
    """Return the declaration of the table; None where a catalogue does not say who taught."""
    if _SPLIT not in schema.names:
        return None
    labels = [name for name in schema.labels.names if name in survey.labels]
    columns = [SOURCE_ID]
    if survey.identifier is not None:
        columns.append(
            Column(
                name=_NAME,
                dtype=f"str{NAME_LENGTH}",
                ucd="meta.id",
                description=f"Name of the star in the label survey. {survey.identifier} of"
                f" {_ascii(survey.title)}; empty where the file has none.",
            )
        )
    for label in labels:
        columns += _label_columns(schema[label], schema[f"e_{label}"], survey)
    columns.append(schema[_SPLIT])
    title = f"Labels of the stars that taught the model, of {survey.title}"
    return SideTable(name=TRAINING_LABELS, title=_ascii(title), columns=tuple(columns))


def _label_columns(label: Column, error: Column, survey: LabelSurvey) -> Iterable[Column]:
    dex = "" if label.unit and "log" not in label.unit else " In dex."
    yield label.model_copy(
        update={
            "description": f"{label.title} in the label survey. As the model learnt it, of"
            f" {_ascii(survey.title)}.{dex}",
            "null_meaning": "no value in the survey, or one that its cuts reject",
            "note": "",
        }
    )
    yield error.model_copy(
        update={
            "description": f"Error of {label.title} in the label survey. One sigma, as the model"
            f" learnt with it: not below the survey's floor.{dex}",
            "null_meaning": f"{label.name} is null",
            "note": "",
        }
    )


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()


def taught_rows(table: SideTable, rows: Rows, labelled: LabelledRows | None) -> Rows:
    """Return the rows of the table that belong to a chunk.

    Parameters
    ----------
    table : SideTable
        Of `taught_table`.
    rows : mapping of str to ndarray of shape (n,)
        The chunk's rows.
    labelled : LabelledRows, optional
        What is known of its stars with labels.
    """
    if labelled is None:
        return {}
    split = rows[_SPLIT][labelled.rows]
    # Labels of several partitions may not come in the order of rows.
    taken = np.argsort(labelled.rows, kind="stable")
    taken = taken[split[taken] > 0]
    found: dict[str, NDArray[Any]] = {}
    for name in table.names:
        if name == _NAME:
            names = labelled.names
            found[name] = np.zeros(taken.size, "S1") if names is None else names[taken]
        elif name in ("source_id", _SPLIT):
            found[name] = rows[name][labelled.rows[taken]]
    labels = [name for name in table.names if name not in {"source_id", _NAME, _SPLIT}]
    for place, name in enumerate(labelled.order):
        if name in labels:
            found[name] = labelled.labels[taken, place]
            found[f"e_{name}"] = labelled.errors[taken, place]
    return {column.name: found[column.name].astype(column.numpy_dtype) for column in table.columns}
