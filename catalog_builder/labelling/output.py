"""Labelled stars as a table: in memory, in files, on a terminal."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from astropy import units as u
from astropy.table import MaskedColumn, QTable, Table
from numpy.typing import NDArray

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.catalog.derived import with_derived
from catalog_builder.catalog.origins import Model
from catalog_builder.catalog.table import described
from catalog_builder.contract.schema import CatalogSchema, label_columns
from catalog_builder.flags.bits import flag_words
from catalog_builder.ground.about import __version__
from catalog_builder.ground.disk import sync
from catalog_builder.ground.errors import ConfigError

#: How astropy calls the formats of files, by their endings.
FORMATS: Final[Mapping[str, str]] = {
    ".csv": "ascii.csv",
    ".ecsv": "ascii.ecsv",
    ".fits": "fits",
    ".vot": "votable",
    ".xml": "votable",
    ".parquet": "parquet",
}
#: Rows that a terminal is shown.
_SHOWN: Final = 40


def made_table(
    names: Sequence[str],
    columns: Mapping[str, NDArray[Any]],
    schema: CatalogSchema,
    model: Model,
    release: ReleaseSpec,
    refused: Sequence[str],
    *,
    simulated: bool,
) -> QTable:
    """Return rows of the catalogue's columns as a table that says where they come from."""
    values = with_derived(columns, schema)
    facts = {name: schema[name].attributes for name in values}
    table = described(values, facts)
    strangers = columns["source_id"] <= 0
    if strangers.any():
        ids = np.where(strangers, 0, columns["source_id"])
        table["source_id"] = MaskedColumn(ids, mask=strangers)
        table["source_id"].info.description = facts["source_id"].get("description", "")
    table.add_column(np.array(names, dtype=str), index=0, name="name")
    table["name"].info.description = "What the star is called in its file, or its source id."
    table.meta |= {
        "program": f"catalog-builder {__version__}",
        "model": model.digest,
        "model_trained_on": model.origin.in_words,
        "release": release.name,
        "simulated": simulated,
        "refused": list(refused),
    }
    return table


def refuse_bad_path(path: Path) -> str:
    """Return astropy's name of the format that a file's ending says.

    Raises
    ------
    ConfigError
        If it says none, the file exists, or its folder does not.
    """
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise ConfigError(
            f"--out {path}: its ending says no format.", f"Use one of {', '.join(FORMATS)}."
        )
    if path.exists():
        raise ConfigError(f"--out {path} exists.", "Give a new name.")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"--out {path}: its folder is not there.", "Make it.")
    return kind


def write_table(table: QTable, path: Path) -> None:
    """Write labelled stars, with units, in the format that a file's ending says.

    Raises
    ------
    ConfigError
        See `refuse_bad_path`.
    OSError
        If the file cannot be written.
    """
    kind = refuse_bad_path(path)
    partial = path.with_name(f".{path.name}.partial")  # nothing is there before it is whole
    plain = Table()
    for name in table.colnames:
        column = table[name]
        plain[name] = getattr(column, "value", column)
        unit = getattr(column, "unit", None)
        if unit is not None:
            plain[name].unit = unit
        plain[name].description = column.info.description
    refused = len(table.meta["refused"])
    plain.meta = {name: v for name, v in table.meta.items() if name != "refused"}
    if kind == "ascii.ecsv":
        plain.meta["refused"] = table.meta["refused"]
    if kind == "fits":
        plain.meta = {
            "PROGRAM": plain.meta["program"],
            "MODEL": plain.meta["model"],
            "TRAINED": plain.meta["model_trained_on"],
            "RELEASE": plain.meta["release"],
            "SIMULATD": plain.meta["simulated"],
            "REFUSED": refused,
        }
    with warnings.catch_warnings():
        # dex is in no standard of units; where it is, it is written.
        warnings.simplefilter("ignore")
        try:
            plain.write(partial, format=kind, overwrite=True)
            sync(partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def in_words(table: QTable, schema: CatalogSchema) -> str:
    """Return a short table of labels, flags and tiers for a terminal."""
    labels = schema.labels.names
    heads = ["name", *(_head(schema, name) for name in labels), "tier", "flags"]
    lines = [heads]
    for row in table[:_SHOWN]:
        cells = [str(row["name"])[-40:]]
        for name in labels:
            value, sigma = (_number(row[column]) for column in label_columns(name)[:2])
            digits = 0 if abs(value) > 100 else 2
            known = np.isfinite(value)
            cells.append(f"{value:.{digits}f} +- {sigma:.{digits}f}" if known else "null")
        masks = {column: int(row[column]) for column in schema.flags.columns}
        cells += [str(row["quality_tier"]), " ".join(_worth_saying(masks, row, schema))]
        lines.append(cells)
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads) - 1)]
    text = [
        "  ".join([*(cell.ljust(w) for cell, w in zip(line, widths, strict=False)), line[-1]])
        for line in lines
    ]
    more = len(table) - _SHOWN
    return "\n".join(
        [*(line.rstrip() for line in text), *([f"and {more} more"] if more > 0 else [])]
    )


def _head(schema: CatalogSchema, name: str) -> str:
    unit = schema[name].unit
    return f"{name} [{unit}]" if unit and "(" not in unit else name


def _number(value: Any) -> float:
    return float(u.Quantity(value).value) if hasattr(value, "unit") else float(value)


def _worth_saying(masks: Mapping[str, int], row: Any, schema: CatalogSchema) -> list[str]:
    taught = ["taught"] if row["in_training_sample"] else []
    return [*taught, *flag_words(masks, schema.flags)]
