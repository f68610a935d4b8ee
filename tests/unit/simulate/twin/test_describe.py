"""The description of a simulated later release says what its files are."""

from __future__ import annotations

import hashlib

import pytest
import yaml

from catalog_builder.archive.release import load_release
from catalog_builder.simulate.twin.columns import FOLDERS, STEMS, TABLES
from catalog_builder.simulate.twin.describe import describe, draft_of
from catalog_builder.simulate.twin.recipe import Recipe

DIGEST = "0" * 64


@pytest.fixture(scope="module")
def older():
    return load_release("dr3")


def test_it_describes_columns_that_the_files_have(older):
    for layout in ("ranges", "regions"):
        said = describe(draft_of("dr4"), older, Recipe(layout=layout), DIGEST)
        for name, table in said["tables"].items():
            kinds = {column.name: column.dtype for column in TABLES[name]}
            for column, spec in table["columns"].items():
                # An integer that can be null is read as a float.
                told = "int64" if column == "random_index" else spec["dtype"]
                assert kinds[column] == told, f"{name}.{column}"
            assert table["folders"][0] == FOLDERS[name]
            assert table["stem"] == STEMS[name]
            assert table["formats"] == ["csv.gz" if layout == "ranges" else "parquet"]


def test_what_is_not_decided_stays_as_the_draft_has_it(older):
    draft = draft_of("dr4")
    said = describe(draft, older, Recipe(), DIGEST)
    for key in ("title", "credit", "reference_epoch", "source_table", "text", "photometry"):
        assert said[key] == draft[key]
    for key in ("resolution", "correlation_length", "low_sig_to_noise", "model_grid"):
        assert said["spectra"]["rvs"][key] == draft["spectra"]["rvs"][key]
    assert "download" not in said
    assert draft == draft_of("dr4")


def test_layout_and_normalisation_are_the_recipes(older):
    draft = draft_of("dr4")
    ranges = describe(draft, older, Recipe(layout="ranges", normalised_by="median"), DIGEST)
    assert ranges["partition"].get("layout", "ranges") == "ranges"
    assert ranges["partition"]["range_pattern"] == older.partition.range_pattern
    assert ranges["checksums"]["algorithm"] == "md5"
    assert ranges["spectra"]["rvs"]["normalisation"] == {"fixed": "constant"}
    regions = describe(draft, older, Recipe(), DIGEST)
    assert regions["partition"]["layout"] == "regions"
    assert "checksums" not in regions
    assert regions["spectra"]["rvs"]["normalisation"]["below"] == "pseudo_continuum"


def test_the_file_is_in_the_archive_beside_its_matrices(twins):
    said = yaml.safe_load(twins.description.read_text())
    assert twins.description.parent == twins.later_archive
    (product,) = said["spectra"]["xp"]["products"]
    content = (twins.later_archive / product["basis"]["path"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == product["basis"]["sha256"]
    assert said["crosswalks"]["dr3"]["table"] in said["tables"]
    assert twins.description.read_text().startswith("# Simulated")
