"""Null for what is flagged: a catalogue whose values can be used without looking at the flags.

A label is null where no answer could be given. Where a flag is set, the answer stands, for those
who draw the line elsewhere and for selections that must see it. `schemas/flags.yaml` declares for
each bit which labels it casts doubt on (``doubts``); here those labels become null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from catalog_builder.schema import LABELS, CatalogSchema, labels_of

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
        Its variables have one dimension; ``flags`` is among them.
    schema : CatalogSchema
        Says which bits cast doubt on which labels.
    """
    sure = {label: (dataset["flags"] & schema.flags.doubts_on(label)) == 0 for label in LABELS}
    cleaned = {}
    for name in dataset.data_vars:
        kept = dataset[name]
        for label in labels_of(str(name)):
            kept = kept.where(sure[label])
        cleaned[name] = kept.assign_attrs(dataset[name].attrs)
    words = ", ".join(bit.name for bit in schema.flags.bits if bit.doubts)
    return dataset.assign(cleaned).assign_attrs(nulled_where_flagged=words)
