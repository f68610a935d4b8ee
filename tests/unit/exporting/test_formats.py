"""Each format has the values of the store, bit for bit, and says what its columns are."""

import gzip
import io
import shutil
import subprocess
import warnings

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from astropy.io import votable
from astropy.table import Table

from catalog_builder.catalog.open import schema_of
from catalog_builder.exporting.cds_fields import Field
from catalog_builder.exporting.cds_readme import LABELS
from catalog_builder.exporting.export import FORMATS, export
from catalog_builder.ground.errors import CatalogueError

SIZES = (("whole", None, None), ("part", ["teff", "training_range", "source_id"], "teff < 1"))


def assert_same(found, truth, names):
    """Compare columns with what the store has; NaN is null, and zero has its sign."""
    for name in names:
        wanted = truth[name]
        values = found(name)
        if hasattr(values, "filled") and wanted.dtype.kind == "f":
            values = values.filled(np.nan)
        values = np.asarray(values)
        values = values.astype("S" if wanted.dtype.kind == "S" else wanted.dtype)
        null = wanted != wanted
        np.testing.assert_array_equal(values != values, null, err_msg=name)
        assert values[~null].tobytes() == wanted[~null].tobytes(), name


@pytest.fixture(scope="module", params=SIZES, ids=[size[0] for size in SIZES])
def asked(request, truth):
    """Return columns, a condition, and what is to come out."""
    _, columns, where = request.param
    kept = truth["teff"] < 1 if where else slice(None)
    names = columns or list(truth)
    return columns, where, {name: truth[name][kept] for name in names}


def test_votable(catalogue, asked, tmp_path):
    columns, where, truth = asked
    path, rows = export(catalogue, "votable", tmp_path / "t.vot", columns=columns, where=where)
    with warnings.catch_warnings():
        # Of log(cm.s**-2), which the standards have and astropy does not know (docs/design.md).
        warnings.simplefilter("ignore", votable.exceptions.W50)
        document = votable.parse(path, verify="warn")
    table = document.get_first_table()
    assert table.nrows == rows == len(truth["teff"])
    read = table.to_table()
    assert_same(lambda name: read[name], truth, truth)
    schema = schema_of(catalogue)
    for field in table.fields:
        column = schema[field.name]
        assert (field.ucd, str(field.unit or "")) == (column.ucd, column.unit)
        assert field.description.startswith(column.description)
        assert column.null_meaning in field.description
    infos = {info.name: info.value for info in document.resources[0].infos}
    assert infos["version"] == "v1"
    assert infos.get("where") == where


@pytest.mark.skipif(shutil.which("stilts") is None, reason="needs stilts")
def test_stilts_takes_it(catalogue, tmp_path):
    path, _ = export(catalogue, "votable", tmp_path / "t.vot")
    lint = ["stilts", "votlint", "ucd=true", "unit=true", str(path)]
    done = subprocess.run(lint, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_parquet(catalogue, asked, tmp_path):
    columns, where, truth = asked
    path, _ = export(catalogue, "parquet", tmp_path / "t.parquet", columns=columns, where=where)
    table = pq.read_table(path)
    assert table.column_names == list(truth)
    assert_same(lambda name: table[name].to_numpy(), truth, truth)
    assert table["source_id"].type == "int64"
    assert pq.ParquetFile(path).num_row_groups == 1
    described = Table.read(path, format="parquet.votable")
    assert str(described["teff"].unit) == "K"
    assert pq.read_metadata(path).metadata[b"catalogue.version"] == b"v1"


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_csv(catalogue, asked, tmp_path, name):
    columns, where, truth = asked
    path, _ = export(catalogue, "csv", tmp_path / name, columns=columns, where=where)
    content = path.read_bytes()
    content = gzip.decompress(content) if name.endswith("gz") else content
    assert content.splitlines()[0] == ",".join(truth).encode()
    read = pl.read_csv(io.BytesIO(content), infer_schema=False)
    lines = {n: [text or "nan" for text in read[n]] for n in truth}
    for one in truth:
        if truth[one].dtype == bool:
            lines[one] = [text == "true" for text in lines[one]]
    assert_same(lambda n: np.array(lines[n]), truth, truth)


@pytest.mark.parametrize("zipped", [False, True])
def test_cds(catalogue, asked, tmp_path, zipped):
    columns, where, truth = asked
    folder, rows = export(
        catalogue, "cds", tmp_path / "t", columns=columns, where=where, compressed=zipped
    )
    data = "catalog.dat.gz" if zipped else "catalog.dat"
    assert sorted(path.name for path in folder.iterdir()) == ["ReadMe", data]
    read = Table.read(str(folder / data), readme=str(folder / "ReadMe"), format="ascii.cds")
    assert len(read) == rows
    assert read.colnames == [LABELS.get(name, name) for name in truth]
    assert_same(lambda name: read[LABELS.get(name, name)], truth, truth)
    assert str(read["teff"].unit) == "K"
    if "logg" in truth:
        assert str(read["logg"].unit) == "dex(cm / s2)"
        assert str(read["m_h"].unit) == "dex(---)"


def test_the_readme_describes_every_byte(catalogue, tmp_path):
    folder, rows = export(catalogue, "cds", tmp_path / "t")
    text = (folder / "ReadMe").read_text(encoding="ascii")
    assert max(map(len, text.splitlines())) <= 80
    lines = (folder / "catalog.dat").read_text(encoding="ascii").splitlines()
    assert {len(line) for line in lines} == {int(text.split("\ncatalog.dat")[1].split()[0])}
    assert f" {rows}   The catalogue" in text
    assert " [cm/s2] logg " in text
    schema = schema_of(catalogue)
    for bit in schema.flags.active:
        assert f"= {bit.name}:" in text
    for tier in schema.flags.tiers:
        assert f"= {tier.name}:" in text
    assert " ? Metallicity" in text
    assert "[0/1] Whether an RVS" in text
    assert "2024A&A...682A...9G" in text


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_rows_are_the_same_bytes(catalogue, tmp_path, name):
    paths = [export(catalogue, name, tmp_path / f"{n}", where="gold")[0] for n in range(2)]
    files = [
        [file.read_bytes() for file in sorted(path.iterdir())]
        if path.is_dir()
        else path.read_bytes()
        for path in paths
    ]
    assert files[0] == files[1]


@pytest.mark.parametrize("name", FORMATS)
def test_no_row_is_a_table_without_rows(catalogue, tmp_path, name):
    path, rows = export(catalogue, name, tmp_path / name, where="teff < -1")
    assert rows == 0
    if name == "votable":
        assert len(votable.parse_single_table(path).to_table()) == 0
    elif name == "parquet":
        assert pq.read_table(path).num_rows == 0
    elif name == "csv":
        assert len(path.read_text().splitlines()) == 1
    else:
        assert (path / "catalog.dat").read_bytes() == b""


def test_an_infinite_value_is_refused_by_cds(schema):
    field = Field(schema["ra"])
    with pytest.raises(CatalogueError, match="ra has an infinite value"):
        field.look(np.array([1.0, np.inf]))
