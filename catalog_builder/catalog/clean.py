"""Null for what is flagged: a catalogue whose values can be used without looking at the flags.

A label is null where no answer could be given. Where a flag is set, the answer stands, for those
who draw the line elsewhere and for selections that must see it. `schemas/flags.yaml` declares for
each bit which labels it casts doubt on (``doubts``); here those labels become null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from catalog_builder.catalog.layout import SCHEMA_FILE
from catalog_builder.contract.flags import any_of
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.ground.errors import CatalogueError

if TYPE_CHECKING:
    import xarray as xr


def without_doubtful(dataset: xr.Dataset, schema: CatalogSchema) -> xr.Dataset:
    """Return a catalogue with every label null that a flag casts doubt on.

    With a label go its uncertainties (``e_``, ``e95_``, the aleatoric and the epistemic part) and
    the correlations (``corr_``) that it takes part in. Everything else stays, `flags` and
    `quality_tier` too: they say why. Nothing is computed before it is used.

    Parameters
    ----------
    dataset : xarray.Dataset
        Its variables have one dimension; the masks (``flags``) are among them.
    schema : CatalogSchema
        Says which bits cast doubt on which labels.

    Raises
    ------
    CatalogueError
        If the dataset has columns that the schema does not know.
    """
    known = {column.name for column in schema.all_columns}
    if unknown := [str(name) for name in dataset.data_vars if name not in known]:
        raise CatalogueError(
            f"Nothing says what the flags mean for the columns {', '.join(unknown)}.",
            f"Open the folder of the catalogue, or keep its {SCHEMA_FILE} beside what you open.",
        )
    sure = {label: ~any_of(dataset, schema.flags.doubts_on(label)) for label in schema.labels.names}
    cleaned = {}
    for name in dataset.data_vars:
        kept = dataset[name]
        for label in schema.labels_of(str(name)):
            kept = kept.where(sure[label])
        cleaned[name] = kept.assign_attrs(dataset[name].attrs)
    words = ", ".join(bit.name for bit in schema.flags.bits if bit.doubts)
    return dataset.assign(cleaned).assign_attrs(nulled_where_flagged=words)
