"""Whose spectra are fainter than a release description asks for, known before they are read.

The S/N of a spectrum may stand in a looked-up table. Most spectra of a deep release are fainter
than any that a model was taught with: they are not converted and not stored, at the price of one
more look at two columns of that table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.tables import TableName
from catalog_builder.features.ledger import Ids, unique
from catalog_builder.features.reading import PartitionReader
from catalog_builder.features.seen import SeenIds


def faint_sources(release: ReleaseSpec, reader: PartitionReader) -> dict[str, Ids]:
    """Return the sources whose spectra are too faint, sorted, by the name of the spectrum.

    Only spectra whose S/N stands in a looked-up table; others are told by their own rows.
    """
    found: dict[str, Ids] = {}
    for table in release.looked_up:
        limits = {
            name: (spectrum.sig_to_noise, spectrum.least_sig_to_noise)
            for name, spectrum in release.spectra.items()
            if spectrum.sig_to_noise in release.tables[table].columns
            and spectrum.least_sig_to_noise is not None
            and not release.has_own_noise(name)
        }
        if limits and reader.has(table):
            found |= _below(table, limits, reader)
    return found


def below(values: NDArray[Any], least: float) -> NDArray[np.bool_]:
    """Say which S/N are below the least; what is null says nothing."""
    return np.asarray(np.isfinite(values) & (values < least))


def _below(
    table: TableName, limits: Mapping[str, tuple[str, float]], reader: PartitionReader
) -> dict[str, Ids]:
    faint: dict[str, list[Ids]] = {name: [] for name in limits}
    seen = SeenIds()
    for block in reader.glance(table, {column for column, _ in limits.values()}):
        ids = block.columns["source_id"]
        first = seen.add(ids)  # as the look-up does, which takes the first row of a source
        for name, (column, least) in limits.items():
            faint[name].append(ids[first & below(block.columns[column], least)])
    return {name: unique(parts) for name, parts in faint.items()}
