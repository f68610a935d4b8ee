"""Flags by name, codes as CF has them, the index of a store."""

import json

import numpy as np
import pytest
import xarray as xr

from catalog_builder import (
    boundary_string,
    flag_names,
    flags_table,
    has_flag,
    open_catalog,
    open_table,
)
from catalog_builder.catalog.open import schema_of
from catalog_builder.catalog.validate import validate_catalog
from catalog_builder.ground.errors import CatalogueError, ConfigError


def test_a_store_opens_in_xarray_alone_without_a_word(pristine, schema):
    stars = xr.open_zarr(pristine / "catalog.zarr")
    assert list(stars.coords) == ["source_id"]
    ids = stars.source_id.values
    indexed = stars.set_xindex("source_id")
    assert float(indexed.teff.sel(source_id=ids[7])) == float(stars.teff[7])
    assert (
        indexed.sel(source_id=ids[[3, 1]]).teff.values.tolist()
        == stars.teff.values[[3, 1]].tolist()
    )
    names = [bit.name for bit in schema.flags.bits]
    assert stars.flags.attrs["flag_masks"] == [bit.mask for bit in schema.flags.bits]
    assert stars.flags.attrs["flag_meanings"].split() == names
    assert stars.quality_tier.attrs["flag_values"] == [0, 1, 2, 3]
    meanings = "no_label gold silver use_with_care"
    assert stars.quality_tier.attrs["flag_meanings"] == meanings
    assert stars.teff.attrs["long_name"] == "Effective temperature"


@pytest.fixture(scope="module")
def opened(pristine):
    stars, table = open_catalog(pristine), open_table(pristine)
    fits = open_table(pristine / "catalog.fits")
    return {
        "dataset": stars,
        "array": stars.flags,
        "table": table,
        "column": table["flags"],
        "fits": fits,
    }


@pytest.mark.parametrize("kind", ["dataset", "array", "table", "column", "fits"])
def test_flags_go_by_name(opened, kind, pristine, schema):
    catalogue = opened[kind]
    assert flag_names(catalogue) == flag_names(pristine)
    masks = opened["dataset"].flags.values
    for name in ("rvs_used", "m_h_not_available"):
        carried = (masks & schema.flags[name].mask) != 0
        np.testing.assert_array_equal(np.asarray(has_flag(catalogue, name)), carried)
    both = has_flag(catalogue, "m_h_not_available", "rvs_xp_conflict")
    assert np.asarray(both).sum() == 5
    with pytest.raises(ConfigError, match="Did you mean rvs_used"):
        has_flag(catalogue, "rvs_usd")


def test_a_view_of_booleans(opened, pristine):
    view = flags_table(opened["dataset"])
    assert tuple(view) == flag_names(pristine)
    assert view.rvs_used.chunks is not None  # nothing is computed yet
    assert view.m_h_not_available.dtype == bool
    assert int(view.m_h_not_available.sum()) == 5
    assert flags_table(pristine).identical(view)


def test_the_boundary_string(opened, pristine):
    digits = boundary_string(pristine)
    np.testing.assert_array_equal(digits, opened["table"]["training_range"])
    assert digits.dims == ("source",)
    assert boundary_string(opened["dataset"], schema_of(pristine)).identical(digits)
    with pytest.raises(ConfigError, match="schema_of"):
        boundary_string(opened["dataset"])


def test_masks_without_names_are_refused(opened):
    with pytest.raises(CatalogueError, match="Nothing says what the bits"):
        has_flag(opened["dataset"].flags.values, "rvs_used")
    with pytest.raises(ConfigError, match="No flag is named"):
        has_flag(opened["dataset"])


def test_a_catalogue_of_before_has_names_and_an_index_too(tmp_path, schema, publish_as_0_1):
    target = publish_as_0_1(tmp_path / "dr3" / "v1", schema)
    for file in (target / "catalog.zarr").rglob("zarr.json"):  # as that version left it
        content = json.loads(file.read_text())
        parts = (content, *content.get("consolidated_metadata", {}).get("metadata", {}).values())
        for part in parts:
            for name in ("coordinates", "flag_masks", "flag_values", "flag_meanings"):
                part["attributes"].pop(name, None)
        file.write_text(json.dumps(content))
    assert list(xr.open_zarr(target / "catalog.zarr").coords) == []
    stars = open_catalog(target)
    assert list(stars.coords) == ["source_id"]
    assert int(has_flag(stars, "m_h_not_available").sum()) == 5
    # What is not declared there is not missed: only the bytes are not those that were sealed here.
    problems = {finding.problem for finding in validate_catalog(target)}
    assert problems == {"its bytes have changed since sealing"}


def test_other_names_of_bits_are_found(sealed):
    file = sealed / "catalog.zarr" / "flags" / "zarr.json"
    file.write_text(file.read_text().replace("rvs_used xp_used", "xp_used rvs_used"))
    found = [str(finding) for finding in validate_catalog(sealed)]
    assert any("flag_meanings is not what the schema declares" in one for one in found)
