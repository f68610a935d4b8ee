"""Archives in other layouts, to sealed catalogues."""

import json

import numpy as np
import pytest

from catalog_builder import open_catalog
from catalog_builder.archive.release import load_release
from catalog_builder.catalog.validate import validate_catalog
from catalog_builder.inspecting.inspect import inspect_archive
from tests.integration.conftest import model_of, sealed
from tests.layouts import describe, description, put_in_folders
from tests.unit.inspecting.nasty import ARCHIVES


def test_regions_give_the_catalogue_of_the_ranges(site, finished, archive, tmp_path):
    """The same sky and model: the same stars, labels and rejects."""
    other = put_in_folders(archive, tmp_path / "regions", "regions")
    release = describe(tmp_path, description("regions"))
    site.run(
        tmp_path / "work",
        archive=str(other),
        release=str(release),
        model_path=str(model_of(finished)),
    )
    (plain,), (made,) = sealed(finished), sealed(tmp_path / "work")
    assert not validate_catalog(made)
    one, two = open_catalog(plain).load(), open_catalog(made).load()
    np.testing.assert_array_equal(one.source_id, two.source_id)
    for label in ("teff", "logg", "m_h"):
        values, sigma = one[label].values, one[f"e_{label}"].values
        np.testing.assert_array_equal(np.isnan(values), np.isnan(two[label].values))
        # Not to the last bit: stars are in batches with others.
        assert np.nanmax(np.abs(values - two[label].values) / sigma) < 1e-3
    receipts = sorted((tmp_path / "work/receipts/ingest").glob("*.json"))
    named = [facts["file"] for path in receipts for facts in inputs_of(path)]
    there = {str(path.relative_to(other)) for path in (other / "gdr4").rglob("*.parquet")}
    assert set(named) == {name for name in there if "astrophysical" not in name}


def inputs_of(receipt) -> list[dict]:
    return list(json.loads(receipt.read_text())["inputs"].values())


@pytest.mark.parametrize("name", ["hats", "chunks"])
def test_a_draft_of_an_unforeseen_archive_makes_a_catalogue(
    site, finished, archive, tmp_path, name
):
    """One line of the draft is edited: of which release its identifiers are."""
    odd = ARCHIVES[name](archive, tmp_path / "archive")
    found = inspect_archive(str(odd), load_release("dr3"))
    (tmp_path / "draft.yaml").write_text(found.draft.replace("name: draft", "name: dr3", 1))
    release = str(tmp_path / "draft.yaml")
    model = str(model_of(finished))
    site.run(tmp_path / "work", archive=str(odd), release=release, model_path=model)
    (catalogue,) = sealed(tmp_path / "work")
    assert not validate_catalog(catalogue)
    made = open_catalog(catalogue).load()
    assert made.sizes["source"] > 1400
    assert np.isfinite(made.teff.values).mean() > 0.9
    assert np.isfinite(made.parallax_corrected.values).mean() > 0.9
