"""Tables beside a catalogue: written by chunks and by the seal, sealed, and checked."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import xarray as xr
import yaml
from astropy.table import Table
from pydantic import ValidationError

from catalog_builder import open_table
from catalog_builder.archive.release import load_release
from catalog_builder.catalog.exports import format_of, formats_of, known_formats
from catalog_builder.catalog.fits_table import EXTENSION
from catalog_builder.catalog.layout import OWN_NAMES, building_dir
from catalog_builder.catalog.release_json import read_release
from catalog_builder.catalog.side_files import ENDINGS
from catalog_builder.catalog.side_record import SideFacts
from catalog_builder.catalog.validate import validate_catalog
from catalog_builder.contract.columns import Column
from catalog_builder.contract.side_table import SOURCE_ID, TAKEN, SideTable
from catalog_builder.ground.errors import CatalogueError, ConfigError
from catalog_builder.ground.resources import schemas_dir
from catalog_builder.publish.building import prepare
from catalog_builder.publish.chunk import Building, make_chunk
from catalog_builder.publish.seal import seal
from catalog_builder.publish.taught import TRAINING_LABELS
from catalog_builder.publish.taught_files import TaughtSum
from tests.unit.catalog.conftest import CHUNK_ROWS, ROWS

TEFF = Column(
    name="teff_gspspec",
    dtype="float32",
    unit="K",
    ucd="phys.temperature.effective",
    description="Effective temperature by GSP-Spec. In the archive.",
    null_meaning="none in the archive",
)
NAME = Column(name="survey_id", dtype="str32", ucd="meta.id", description="Name in the survey.")
FLAGS = Column(name="flags_gspspec", dtype="str5", ucd="meta.code.qual", description="Flags.")
BESIDE = SideTable(name="parameters", title="Of the archive", columns=(SOURCE_ID, TEFF, FLAGS))
WORDS = SideTable(
    name="identifiers",
    title="Words",
    columns=(SOURCE_ID, Column(name="obsid", dtype="str12", ucd="meta.id", description="Word.")),
)
TAUGHT = SideTable(name="training_labels", title="Who taught", columns=(SOURCE_ID, NAME, TEFF))


def words_of(ids):
    return np.array([f"Bär {one % 10_000:04d}".encode() for one in ids], "S12")


def chains_of(ids):
    """Return flags; every third star has none."""
    return np.array([b"" if one % 3 == 0 else b"%05d" % (one % 9999) for one in ids], "S5")


def build(target, schema, record, columns, values, taught=None):
    """Write the chunks of a catalogue with its tables; every third star taught."""
    folder = building_dir(target)
    formats = formats_of(("fits", "hats"), schema)
    ids = tuple(columns["source_id"][:1].tolist())
    building = Building(
        folder, schema, record, ROWS, CHUNK_ROWS, formats, False, ids, tables=(BESIDE, WORDS)
    )
    prepare(building, folder.with_name("facts"), {"title": "Small"})
    facts = []
    for index, start in enumerate(range(0, ROWS, CHUNK_ROWS)):
        part = slice(start, min(start + CHUNK_ROWS, ROWS))
        chunk = {name: column[part] for name, column in columns.items()}
        beyond = {n: v[part.stop :] for n, v in columns.items()} if start == 0 else {}
        beside = {
            "parameters": {
                "teff_gspspec": values[part],
                "flags_gspspec": chains_of(chunk["source_id"]),
            },
            "identifiers": {"obsid": words_of(chunk["source_id"])},
        }
        made = make_chunk(building, index, chunk, beyond, None, beside)
        own = chunk["source_id"][::3]
        rows = {
            "source_id": own,
            "survey_id": np.array([f"2M{one}" for one in own], "S32"),
            "teff_gspspec": values[part][::3],
        }
        facts.append(replace(made, taught=rows))
    return building, facts


def sealed_with(target, schema, record, columns, values):
    building, facts = build(target, schema, record, columns, values)
    taught = TaughtSum(building, TAUGHT)
    facts_of = taught.heard(facts.__getitem__)

    def pages(_building, _tally):
        return {"tables": taught.finish(facts.__getitem__)}

    seal(building, target, facts_of, pages)
    return target


@pytest.fixture(scope="module")
def values():
    found = np.linspace(4000, 6000, ROWS).astype(np.float32)
    found[::4] = np.nan
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory, full_schema, schema, make_rows, facts, values):
    target = tmp_path_factory.mktemp("beside") / "dr3" / "v1"
    # Where a star is, HATS has to know.
    kept = [c for c in full_schema.all_columns if c.name in {"ra", "dec"}]
    assert {c.name for c in kept} <= set(schema.names)
    return sealed_with(target, schema, facts, make_rows(ROWS, schema), values)


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "dr3" / "v1")


def findings(folder, **options):
    return [str(one) for one in validate_catalog(folder, **options)]


def test_every_file_has_the_rows_units_and_nulls(whole, values):
    assert findings(whole) == []
    assert findings(whole, sample=2) == []
    stored = xr.open_zarr(whole / "parameters.zarr")
    ids = xr.open_zarr(whole / "catalog.zarr").source_id.values
    np.testing.assert_array_equal(stored.source_id.values, ids)
    np.testing.assert_array_equal(stored.teff_gspspec.values, values)
    table = Table.read(whole / "parameters.fits", hdu=EXTENSION)
    np.testing.assert_array_equal(np.ma.filled(table["teff_gspspec"], np.nan), values)
    assert str(table["teff_gspspec"].unit) == "K"
    parts = sorted((whole / "parameters").glob("*.parquet"))
    assert len(parts) == -(-ROWS // CHUNK_ROWS)
    leaf = Table.read(parts[1], format="parquet.votable")
    assert str(leaf["teff_gspspec"].unit) == "K"
    assert leaf["teff_gspspec"].meta["ucd"] == TEFF.ucd
    assert pq.read_table(parts[0])["teff_gspspec"].null_count == 3


def test_text_is_whole_in_parquet_and_ascii_in_fits(whole):
    ids = xr.open_zarr(whole / "catalog.zarr").source_id.values
    words = [word.decode() for word in words_of(ids).tolist()]
    assert pq.read_table(whole / "identifiers")["obsid"].to_pylist() == words
    table = Table.read(whole / "identifiers.fits", hdu=EXTENSION)
    assert table["obsid"].tolist() == [word.replace("ä", "??") for word in words]
    assert not (whole / "identifiers.zarr").exists()
    assert set(read_release(whole).tables["identifiers"].files) == {"fits", "parquet"}


def test_flags_are_the_same_text_everywhere(whole):
    stored = xr.open_zarr(whole / "parameters.zarr")
    assert stored.flags_gspspec.dims == ("source", "flags_gspspec_character")
    words = stored.flags_gspspec.values.view("S5")[:, 0]
    chains = chains_of(stored.source_id.values)
    np.testing.assert_array_equal(words, chains)
    texts = [word.decode() for word in chains.tolist()]
    assert pq.read_table(whole / "parameters")["flags_gspspec"].to_pylist() == texts
    table = Table.read(whole / "parameters.fits", hdu=EXTENSION)
    assert np.ma.filled(table["flags_gspspec"], "").tolist() == texts
    assert "" in texts


def only(folder, kind):
    """Leave the table in one of its files; return which."""
    for other, ending in ENDINGS.items():
        path = folder / f"parameters{ending}"
        if other != kind:
            path.unlink() if path.is_file() else shutil.rmtree(path)
    return folder / f"parameters{ENDINGS[kind]}"


@pytest.mark.parametrize("kind", ["zarr", "parquet", "fits"])
def test_a_table_is_opened_from_any_of_its_files(copy, values, kind):
    only(copy, kind)
    found = open_table(copy, table="parameters")
    np.testing.assert_array_equal(found["teff_gspspec"].value, values)
    assert found["teff_gspspec"].unit == "K"
    chains = [one.decode() for one in chains_of(np.asarray(found["source_id"])).tolist()]
    assert found["flags_gspspec"].tolist() == chains
    own = open_table(copy, ["source_id"], where="teff > 0", rows=(3, ROWS))
    few = open_table(copy, ["source_id"], where="teff > 0", rows=(3, ROWS), table="parameters")
    assert few["source_id"].tolist() == own["source_id"].tolist() != []


def test_tables_that_are_not_there_are_refused(whole):
    with pytest.raises(CatalogueError, match="identifiers, parameters, training_labels"):
        open_table(whole, table="parameter")
    with pytest.raises(CatalogueError, match="Did you mean teff_gspspec"):
        open_table(whole, ["teff_gsp"], table="parameters")
    with pytest.raises(ConfigError, match="join by source_id"):
        open_table(whole, table="training_labels", where="teff > 0")
    with pytest.raises(ConfigError, match="clean"):
        open_table(whole, table="parameters", clean=True)
    taught = open_table(whole, ["survey_id", "teff_gspspec"], table="training_labels")
    assert taught["survey_id"][0].startswith("2M")
    assert "ä" in open_table(whole, table="identifiers")["obsid"][0]


def test_a_table_is_of_its_catalogue_and_says_so(whole):
    own, theirs = open_table(whole, ["teff"]).meta, open_table(whole, table="parameters").meta
    assert theirs["title"] == BESIDE.title
    assert {**own, **theirs, "title": own["title"]} == {**theirs, "title": own["title"]}
    record = read_release(whole)
    said = (theirs["release"], theirs["version"], theirs["seal"])
    assert said == (record.release, record.version, record.seal)


def test_no_column_is_no_damage_and_errors_name_the_table(whole):
    assert open_table(whole, [], table="parameters").colnames == []
    with pytest.raises(CatalogueError, match="The table parameters has no column teff_gsp"):
        open_table(whole, ["teff_gsp"], table="parameters")


def test_a_part_that_is_gone_is_said(copy):
    (copy / "identifiers" / "part-000000000010.parquet").unlink()
    with pytest.raises(CatalogueError, match=r"identifiers has 13 rows, RELEASE.json says 23"):
        open_table(copy, ["obsid"], table="identifiers")
    with pytest.raises(CatalogueError, match="13 rows"):
        open_table(copy, ["obsid"], table="identifiers", rows=(0, 5))


def test_a_file_that_is_cut_is_said(copy):
    path = only(copy, "fits")
    content = path.read_bytes()
    row = BESIDE.columns[0].numpy_dtype.itemsize + 4 + 5
    start = len(content) - 2880
    path.write_bytes(content[: start + 9 * row])
    for where in (None, "teff > 0"):
        with pytest.raises(CatalogueError, match="has 9 of the 23 rows of source_id"):
            open_table(copy, ["teff_gspspec"], table="parameters", where=where)


def test_rows_of_other_stars_are_said(copy):
    path = only(copy, "parquet")
    first, second = (path / f"part-{start:012d}.parquet" for start in (0, 10))
    held = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(held)
    with pytest.raises(CatalogueError, match=r"other stars in the rows 0 to 23 than catalog\.zarr"):
        open_table(copy, ["teff_gspspec"], table="parameters")
    shutil.rmtree(copy / "catalog.zarr")  # who has the table alone has nothing to compare with
    assert len(open_table(copy, ["teff_gspspec"], table="parameters")) == ROWS


def test_of_parquet_only_the_chosen_columns_are_read(whole, monkeypatch):
    from catalog_builder.catalog.side_parquet import ParquetRows

    read, asked = pq.ParquetFile.read, []

    def spy(self, *given, **named):
        asked.append(named.get("columns"))
        return read(self, *given, **named)

    monkeypatch.setattr(pq.ParquetFile, "read", spy)
    few = BESIDE.model_copy(update={"all_columns": (SOURCE_ID, TEFF)})
    assert set(ParquetRows(whole / "parameters", few).block(0, 3)) == {"source_id", "teff_gspspec"}
    assert asked == [["source_id", "teff_gspspec"]]


def test_text_is_of_bytes(copy):
    import zarr

    path = copy / "parameters.zarr"
    group = zarr.open_group(str(path), mode="r+")
    old = group["flags_gspspec"]
    values, said = old[:].astype(np.int32) + 256, dict(old.attrs)
    packed = {"chunks": old.chunks, "compressors": old.compressors, "attributes": said}
    made = group.create_array(
        "flags_gspspec", shape=values.shape, dtype="int32", overwrite=True, **packed
    )
    made[:] = values
    with pytest.raises(CatalogueError, match="Text is stored as int32"):
        open_table(copy, ["flags_gspspec"], table="parameters")
    assert any("dtype int32, declared str5" in one for one in findings(copy))


def test_one_other_flag_is_found(copy):
    for file in (copy / "parameters.zarr" / "flags_gspspec" / "c").rglob("0"):
        if file.is_file():
            other = file.parents[1] / "1" / "0"
            shutil.copy(other, file)
            break
    assert any("flags_gspspec" in one for one in findings(copy))


def test_one_other_letter_is_found(copy):
    content = (copy / "identifiers.fits").read_bytes()
    (copy / "identifiers.fits").write_bytes(content.replace(b"B??r", b"B??s", 1))
    assert any("identifiers" in one and "obsid" in one for one in findings(copy))


def test_those_who_taught_have_their_names(whole):
    table = Table.read(whole / "training_labels.fits", hdu=EXTENSION)
    found = pq.read_table(whole / "training_labels.parquet")
    assert table["survey_id"].tolist() == [f"2M{one}" for one in table["source_id"]]
    assert found["survey_id"].to_pylist() == table["survey_id"].tolist()
    assert (np.diff(table["source_id"]) > 0).all()
    said = read_release(whole).tables
    assert said["training_labels"].rows == len(table) == 9
    assert (said["parameters"].by_rows, said["training_labels"].by_rows) == (True, False)


def test_the_same_rows_make_the_same_bytes_after_a_kill(
    whole, tmp_path, schema, make_rows, facts, values
):
    target, columns = tmp_path / "dr3" / "v1", make_rows(ROWS, schema)
    building, _ = build(target, schema, facts, columns, values)
    # Killed while metadata were made, while a chunk was written, and while the seal wrote.
    (building.folder / ".parameters.zarr.partial" / "c").mkdir(parents=True)
    (building.folder / "parameters.zarr" / "zarr.json").write_bytes(b"{")
    (building.folder / "parameters" / "part-000000000010.parquet").write_bytes(b"half")
    (building.folder / "training_labels.parquet").write_bytes(b"half")
    sealed_with(target, schema, facts, columns, values)
    assert findings(target) == []
    for name in ("SHA256SUMS", "SHA256PARTS"):
        assert (target / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize(
    ("name", "place", "what"),
    [
        ("parameters.fits", -2000, "parameters.fits"),
        ("parameters.zarr/teff_gspspec/c/1", 5, "parameters.zarr/teff_gspspec/c/1"),
        ("parameters/part-000000000010.parquet", 40, "part-000000000010.parquet"),
        ("training_labels.parquet", 40, "training_labels.parquet"),
    ],
)
def test_a_flipped_byte_is_found(copy, name, place, what):
    content = bytearray((copy / name).read_bytes())
    content[place] ^= 1
    (copy / name).write_bytes(content)
    assert any(what in one for one in findings(copy))


def test_missing_files_and_other_rows_are_found(copy, whole):
    (copy / "parameters.fits").unlink()
    shutil.rmtree(copy / "parameters.zarr" / "teff_gspspec")
    other = pq.read_table(copy / "parameters" / "part-000000000000.parquet")
    pq.write_table(other.slice(0, 4), copy / "parameters" / "part-000000000000.parquet")
    found = findings(copy)
    assert any("parameters.fits" in one and "missing" in one for one in found)
    assert any("parameters.zarr" in one and "cannot be read" in one for one in found)
    assert any("parameters has 17 rows" in one or "has 17 rows" in one for one in found)


def test_an_edited_declaration_breaks_the_seal(copy):
    record = json.loads((copy / "RELEASE.json").read_text())
    record["tables"]["parameters"]["declared"]["columns"][1]["unit"] = "mag"
    (copy / "RELEASE.json").write_text(json.dumps(record))
    found = findings(copy)
    assert any("edited after sealing" in one for one in found)
    assert any("TUNIT" in one for one in found)


def test_a_table_needs_its_key():
    with pytest.raises(ValidationError, match="source_id must be the first column"):
        SideTable(name="x", title="x", columns=(TEFF,))


@pytest.mark.parametrize(
    "files",
    [
        {"parquet": "../../elsewhere"},
        {"zarr": "/etc"},
        {"fits": "catalog.fits"},
        {"zarr": "parameters"},
        {"csv": "parameters.csv"},
    ],
)
def test_a_record_names_no_files_but_those_of_its_table(files):
    with pytest.raises(ValidationError, match="files"):
        SideFacts(declared=BESIDE, rows=1, files=files)


def test_no_table_of_a_release_is_called_as_another_file(tmp_path):
    others = {*OWN_NAMES, *(format_of(name).file_name for name in known_formats())}
    clashing = {
        stem
        for stem in {name.partition(".")[0] for name in others} | {TRAINING_LABELS}
        if {f"{stem}{ending}" for ending in ENDINGS.values()} & (others | {TRAINING_LABELS})
    }
    assert {stem for stem in clashing if stem.islower()} <= TAKEN
    content = yaml.safe_load((schemas_dir() / "releases/dr3.yaml").read_text())
    content["beside"]["catalog"] = content["beside"].pop("parameters")
    file = tmp_path / "other.yaml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match="a catalogue has a table catalog of its own"):
        load_release(file)
