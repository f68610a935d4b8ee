"""Sealing: complete or not at all, and never twice; opening what was sealed."""

import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from catalog_builder.catalog.layout import building_dir, find_catalogue
from catalog_builder.catalog.open import open_catalog
from catalog_builder.catalog.release_json import read_release
from catalog_builder.catalog.validate import validate_catalog
from catalog_builder.ground.errors import CatalogueError
from catalog_builder.publish.seal import point_latest, seal

DOCUMENT = Path(__file__).parents[3] / "docs" / "verify.md"
MISSING = np.arange(23) % 5 == 0  # the rows whose m_h is null


def test_a_sealed_catalogue_is_complete_and_clean(build, schema):
    building, target, said = build()
    record = seal(building, target, said)
    assert not building.folder.exists()
    assert read_release(target) == record
    assert tuple(record.columns) == schema.names
    assert validate_catalog(target) == []
    assert (target.parent / "latest").read_text() == "v1\n"


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs coreutils")
def test_anyone_can_check_the_files(pristine):
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=pristine, check=True)
    parts = re.search(r"```sh\n(while read[^`]*)```", DOCUMENT.read_text())[1]
    done = subprocess.run(["bash", "-c", parts], cwd=pristine, capture_output=True, check=True)
    assert done.stdout == b""
    manifest = (pristine / "SHA256SUMS").read_bytes()
    assert hashlib.sha256(manifest).hexdigest() == read_release(pristine).manifest


def test_a_part_that_changed_is_named_by_the_documented_lines(sealed):
    script = re.search(r"```sh\n(while read[^`]*)```", DOCUMENT.read_text())[1]
    data = bytearray((sealed / "catalog.fits").read_bytes())
    data[-2870] ^= 1
    (sealed / "catalog.fits").write_bytes(data)
    said = subprocess.run(
        ["bash", "-c", script], cwd=sealed, capture_output=True, text=True, check=False
    )
    (line,) = said.stdout.splitlines()
    assert line.startswith("catalog.fits changed from byte ")


def test_anyone_can_make_the_digest_of_a_column(pristine, monkeypatch):
    """The ten lines of docs/verify.md know nothing of this program."""
    script = re.search(r"```python\n(import hashlib[^`]*)```", DOCUMENT.read_text())[1]
    assert "catalog_builder" not in script
    monkeypatch.chdir(pristine)
    scope = {}
    exec(script, scope)
    columns = read_release(pristine).columns
    assert {name: scope["column_digest"](name) for name in columns} == columns


def test_a_sealed_catalogue_is_never_overwritten(build):
    building, target, said = build()
    target.mkdir()
    (target / "precious").write_text("data")
    with pytest.raises(CatalogueError, match="never overwritten"):
        seal(building, target, said)
    assert (target / "precious").read_text() == "data"
    assert building.folder.is_dir()


@pytest.mark.parametrize("missing", ["metrics", "inputs", "model_digest"])
def test_a_missing_fact_stops_the_seal(build, facts, missing):
    building, target, said = build()
    record = {name: fact for name, fact in facts.items() if name != missing}
    with pytest.raises(CatalogueError, match=missing):
        seal(replace(building, record=record), target, said)
    assert not target.exists()


def test_what_sealing_finds_out_cannot_be_told(build, facts):
    building, target, said = build()
    with pytest.raises(CatalogueError, match="columns"):
        seal(replace(building, record={**facts, "columns": {}}), target, said)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"e_teff": np.zeros(23)}, "positive sigma"),
        ({"source_id": np.arange(23, 0, -1)}, "not larger"),
        ({"flags": np.where(MISSING, 15 | 1 << 14, 15) | 1 << 50}, "undeclared bit"),
    ],
)
def test_an_invalid_catalogue_is_not_sealed(build, tmp_path, changed, named):
    """The task of a chunk refuses its rows: there is nothing to seal."""
    with pytest.raises(CatalogueError, match=named):
        build(**changed)
    folder = building_dir(tmp_path / "dr3" / "v1")
    assert sorted(path.name for path in folder.parent.iterdir()) == [folder.name, "facts"]
    with pytest.raises(CatalogueError, match="not a sealed catalogue"):
        open_catalog(folder)
    with pytest.raises(CatalogueError, match="not a sealed catalogue"):
        open_catalog(folder / "catalog.zarr")


def test_an_interrupted_seal_can_be_taken_up_again(build):
    """Everything but the rename was done: the second attempt does it all anew."""
    building, target, said = build()
    (building.folder / "RELEASE.json").write_text("half a rec")
    (building.folder / ".RELEASE.json.partial").write_text("half")
    (building.folder / ".catalog.fits.partial").write_bytes(b"half")
    seal(building, target, said)
    assert validate_catalog(target) == []
    assert not list(target.glob(".*"))


def test_the_same_content_has_the_same_record(build, pristine):
    building, target, said = build()
    assert seal(building, target, said) == read_release(pristine)


def test_a_catalogue_opens_by_version_store_and_release(sealed, schema):
    sealed.rename(sealed.with_name("v2"))
    point_latest(sealed.with_name("v2"))
    by_release = (sealed.parent, sealed.parent / "latest")
    for path in (*by_release, sealed.parent / "v2", str(sealed.parent / "v2" / "catalog.zarr")):
        with open_catalog(path) as dataset:
            assert isinstance(dataset, xr.Dataset)
            assert ("source_id", *dataset) == schema.names
            assert dataset.sizes == {"source": 23}
            assert dataset.teff.attrs["units"] == "K"
            assert int(dataset.flags[1]) == 15


def test_a_store_copied_away_still_opens(sealed, tmp_path):
    shutil.copytree(sealed / "catalog.zarr", tmp_path / "mine.zarr")
    with open_catalog(tmp_path / "mine.zarr") as dataset:
        assert dataset.sizes == {"source": 23}


def test_what_is_no_catalogue_is_refused(tmp_path):
    with pytest.raises(CatalogueError, match="not a sealed catalogue"):
        open_catalog(tmp_path)
    with pytest.raises(CatalogueError, match="not a sealed catalogue"):
        find_catalogue(tmp_path / "nowhere")


def test_the_schema_lies_in_the_catalogue(pristine, schema):
    content = json.loads((pristine / "schema.json").read_text())
    assert content["columns"][0]["name"] == "source_id"
    assert type(schema).model_validate(content) == schema
