"""Opening the selection function of a sealed catalogue, or of one that has none."""

import json
import shutil
import warnings

import numpy as np
import pytest

import catalog_builder
from catalog_builder.archive.release import load_release
from catalog_builder.catalog.layout import SELECTION_NAME, building_dir
from catalog_builder.catalog.release_json import read_release
from catalog_builder.catalog.selection import SubsetWarning
from catalog_builder.catalog.selection_store import About, SelectionWriter
from catalog_builder.catalog.validate import validate_catalog
from catalog_builder.features.cells import CellGrid
from catalog_builder.ground.errors import CatalogueError
from catalog_builder.publish.seal import seal
from tests.unit.catalog.conftest import ROWS, written_by_chunks

GRID = CellGrid.of(load_release("dr3"), 1)


@pytest.fixture
def publish(tmp_path, schema, make_rows, facts):
    """Return a function that seals a catalogue with the selection function of some sources."""

    def made(sources):
        target = tmp_path / "dr3" / f"v{sources}"
        building, said = written_by_chunks(
            building_dir(target), schema, facts, make_rows(ROWS, schema)
        )

        def add(building, summary):
            about = About(grid=GRID, tiers=("gold",), counted=((0, 47),))
            writer = SelectionWriter(building.folder / SELECTION_NAME, about)
            writer.append(np.array([700]), np.array([[sources, 25, ROWS, 4]]))
            writer.finish()
            totals = dict(zip(about.kinds, writer.totals.tolist(), strict=True))
            subset = sources < 30
            return {"selection": {"order": 1, "sky": 1.0, "totals": totals, "subset": subset}}

        seal(building, target, said.__getitem__, add)
        return target

    return made


def test_it_is_sealed_and_opened(publish):
    folder = publish(400)
    assert validate_catalog(folder) == []
    sums = (folder / "SHA256SUMS").read_text()
    assert "  selection/counts.parquet\n" in sums
    assert "  selection/counts.zarr/sources/c/0\n" in sums
    assert read_release(folder).selection.totals["published"] == ROWS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chosen = catalog_builder.selection(folder)
    found = chosen.probability(0, 0, 12.0)
    assert (found.sources, found.selected) == (400, ROWS)
    assert found.mean == pytest.approx((ROWS + 0.5) / 401)
    assert (chosen.tiers, chosen.sky) == (("gold",), 1.0)


def test_a_subset_is_told(publish):
    folder = publish(26)
    with pytest.warns(SubsetWarning, match="25 of the archive's 26 sources were asked for"):
        assert catalog_builder.selection(folder).subset


def test_what_lies_there_uncalled_for_or_changed_is_a_finding(publish):
    folder = publish(400)
    (folder / SELECTION_NAME / "more").write_text("?")
    (chunk,) = (folder / SELECTION_NAME / "counts.zarr" / "published").glob("c/0")
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"?")
    found = {finding.file for finding in validate_catalog(folder)}
    assert {"selection/more", "selection/counts.zarr/published/c/0", SELECTION_NAME} <= found
    with pytest.raises(CatalogueError, match="cannot be read"):
        catalog_builder.selection(folder).probability(0, 0, 12.0)


@pytest.mark.parametrize("what", ["absent", "longer"])
def test_columns_that_do_not_fit_together_are_a_finding(publish, what):
    folder = publish(400)
    column = folder / SELECTION_NAME / "counts.zarr" / "pixel"
    if what == "absent":
        shutil.rmtree(column)
    else:
        declared = json.loads((column / "zarr.json").read_text())
        (column / "zarr.json").write_text(json.dumps({**declared, "shape": [2]}))
    assert SELECTION_NAME in {finding.file for finding in validate_catalog(folder)}
    with pytest.raises(CatalogueError, match="cannot be read"):
        catalog_builder.selection(folder)


def test_a_catalogue_without_one_says_how_to_get_it(pristine):
    with pytest.raises(CatalogueError, match="has no selection function") as caught:
        catalog_builder.selection(pristine)
    assert "publish.selection=true" in str(caught.value)
