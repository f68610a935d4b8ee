"""What CF conventions say of codes: the bits of a mask, the values of a tier, by name.

CF 1.11, section 3.5. A name says nothing of labels or tiers to CF; what it means is in the schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from catalog_builder.contract.columns import Declared
from catalog_builder.contract.schema import CatalogSchema

if TYPE_CHECKING:
    import xarray as xr

MASKS: Final = "flag_masks"
VALUES: Final = "flag_values"
MEANINGS: Final = "flag_meanings"
TIER: Final = "quality_tier"
#: The variable by which stars are told from each other.
IDENTIFIER: Final = "source_id"
_NO_LABEL: Final = "no_label"


def code_attributes(schema: Declared, name: str) -> dict[str, Any]:
    """Return the attributes of a column that holds codes; none of any other.

    Parameters
    ----------
    schema : CatalogSchema or SideTable
        Of the catalogue; a table beside one has no codes.
    name : str
        Of a column.

    Returns
    -------
    dict of str to (list of int or str)
        ``flag_masks`` or ``flag_values``, and ``flag_meanings``, which are as many words.
    """
    if not isinstance(schema, CatalogSchema):
        return {}
    if name in schema.flags.columns:
        bits = [bit for bit in schema.flags.bits if bit.column == name]
        return _named(MASKS, {bit.name: bit.mask for bit in bits})
    if name == TIER and schema.flags.tiers:
        tiers = {tier.name: tier.tier for tier in schema.flags.tiers}
        return _named(VALUES, {_NO_LABEL: 0, **tiers})
    return {}


def codes_in(attributes: Mapping[Any, Any], kind: str = MASKS) -> dict[str, int]:
    """Return the codes by name that attributes declare; none where they declare none."""
    numbers, words = attributes.get(kind), attributes.get(MEANINGS)
    if numbers is None or not words:
        return {}
    values = numbers if hasattr(numbers, "__iter__") else [numbers]  # netCDF keeps one as a scalar
    return dict(zip(str(words).split(), (int(value) for value in values), strict=True))


def with_codes(dataset: xr.Dataset, schema: CatalogSchema) -> xr.Dataset:
    """Return a dataset whose columns of codes say what these are called, as new stores do."""
    changed = {}
    for name in dataset.variables:
        codes = code_attributes(schema, str(name))
        if codes and not codes.keys() <= dataset[name].attrs.keys():
            changed[name] = dataset[name].assign_attrs(codes)
    return dataset.assign(changed) if changed else dataset


def _named(kind: str, codes: Mapping[str, int]) -> dict[str, Any]:
    return {kind: list(codes.values()), MEANINGS: " ".join(codes)} if codes else {}
