"""Values of the archive that a catalogue repeats."""

import numpy as np
import pytest

from catalog_builder.archive.layout import Partition
from catalog_builder.archive.release import load_release
from catalog_builder.features import repeated
from catalog_builder.features.repeated_values import values_for
from catalog_builder.features.settings import IngestSettings
from catalog_builder.ground.errors import ConfigError, StoreError

RELEASE = load_release("dr3")
RULE = RELEASE.beside["parameters"]
IDS = np.array([3, 5, 8, 13], np.int64)
HEADER = "source_id,teff_gspspec,teff_gspphot,mh_gspspec"
FLAGS = "0" * 7 + "9" * 34


def write(root, *rows):
    folder = root / "gdr3" / "Astrophysical_parameters" / "astrophysical_parameters"
    folder.mkdir(parents=True)
    file = folder / "AstrophysicalParameters_000000-000009.csv"
    file.write_text("\n".join([HEADER, *rows]) + "\n")


def look_up(root, ids=IDS):
    (partition,) = repeated.partitions_with(
        str(root), RELEASE, RULE, [Partition("000000-000009", 0, 9, {})]
    )
    return repeated.read_repeated(partition, RELEASE, RULE, IngestSettings(), ids)


def test_values_are_looked_up_and_bad_cells_are_null(tmp_path):
    write(tmp_path, "8,5000.5,null,-0.5", "3,null,4000,null", "4,1,1,1", "5,,,", "13,x,inf,0.25")
    columns, ledger = look_up(tmp_path)
    assert columns["source_id"].tolist() == [3, 8, 13]  # who has nothing takes no room
    np.testing.assert_array_equal(columns["teff_gspspec"], np.float32([np.nan, 5000.5, np.nan]))
    np.testing.assert_array_equal(columns["teff_gspphot"], np.float32([4000, np.nan, np.nan]))
    assert np.isnan(columns["distance_gspphot"]).all()  # not in the file
    assert ledger.cell_nulls == {
        "astrophysical_parameters.teff_gspspec": 1,
        "astrophysical_parameters.teff_gspphot": 1,
    }
    whole = values_for([_stored(tmp_path, columns)], np.array([3, 4, 8]), {"mh_gspspec": "float32"})
    np.testing.assert_array_equal(whole["mh_gspspec"], np.float32([np.nan, np.nan, -0.5]))


def test_chains_of_flags_are_text(tmp_path):
    head, file = f"{HEADER},flags_gspspec", "AstrophysicalParameters_000000-000009.csv"
    write(tmp_path)
    (file,) = tmp_path.rglob(file)
    rows = (f'3,5000,,,"{FLAGS}"', "5,,,,null", f"8,,,,{FLAGS}", f"13,1,,,{FLAGS}0")
    file.write_text("\n".join([head, *rows]) + "\n")
    columns, ledger = look_up(tmp_path)
    assert columns["source_id"].tolist() == [3, 8, 13]
    assert columns["flags_gspspec"].tolist() == [FLAGS.encode()] * 2 + [b""]  # the last: too long
    assert ledger.cell_nulls == {"astrophysical_parameters.flags_gspspec": 1}
    found = values_for([_stored(tmp_path, columns)], IDS, {"flags_gspspec": "S41"})
    assert found["flags_gspspec"].tolist() == [FLAGS.encode(), b"", FLAGS.encode(), b""]


def _stored(root, columns):
    repeated._write(root / "store.zarr", columns)
    return root / "store.zarr"


def test_a_damaged_file_costs_its_values_alone(tmp_path):
    write(tmp_path, "3,5000,4000,0")
    (file,) = tmp_path.rglob("*.csv")
    file.write_bytes(b"\x1f\x8b\x08garbage")
    columns, ledger = look_up(tmp_path)
    assert columns["source_id"].size == 0
    assert list(ledger.notes()["file_rejects"]) == [file.name]


def test_an_archive_without_the_table_has_no_partitions(tmp_path):
    assert not repeated.partitions_with(
        str(tmp_path), RELEASE, RULE, [Partition("000000-000009", 0, 9, {})]
    )


def test_a_damaged_store_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"absent\.zarr"):
        values_for([tmp_path / "absent.zarr"], IDS, {"mh_gspspec": "float32"})


def test_the_digest_of_a_release_does_not_know_them():
    assert "beside" not in RELEASE.model_dump()


def test_a_table_that_is_not_described_is_refused(tmp_path):
    from catalog_builder.ground.resources import schemas_dir

    text = (schemas_dir() / "releases/dr3.yaml").read_text()
    file = tmp_path / "other.yaml"
    file.write_text(text.replace("table: astrophysical_parameters", "table: unknown_table"))
    with pytest.raises(ConfigError, match=r"beside\.parameters\.table names unknown_table"):
        load_release(file)


def test_the_identifier_is_read_as_the_release_describes_it(tmp_path):
    from catalog_builder.archive.identifiers import keys_of

    table = RELEASE.tables[RULE.table]
    key = table.columns["source_id"].model_copy(
        update={"dtype": "text", "characters": 8, "names": ("obsid",)}
    )
    columns = {**table.columns, "source_id": key}
    tables = {**RELEASE.tables, RULE.table: table.model_copy(update={"columns": columns})}
    release = RELEASE.model_copy(update={"tables": tables})
    rule = RELEASE.partition.model_copy(update={"layout": "anywhere"})
    release = release.model_copy(update={"partition": rule})
    file = (
        tmp_path
        / "gdr3/Astrophysical_parameters/astrophysical_parameters/AstrophysicalParameters_any.csv"
    )
    file.parent.mkdir(parents=True)
    file.write_text("obsid,teff_gspspec\nn1_01,5000\nn1_02,6000\n")
    keys = np.sort(keys_of(["n1_01", "n1_02", "n1_03"]))
    (partition,) = repeated.partitions_with(
        str(tmp_path), release, RULE, [Partition("0-786431", 0, 786_431, {})]
    )
    found, ledger = repeated.read_repeated(partition, release, RULE, IngestSettings(), keys)
    assert ledger.notes()["file_rejects"] == {}
    np.testing.assert_array_equal(found["source_id"], np.sort(keys_of(["n1_01", "n1_02"])))
