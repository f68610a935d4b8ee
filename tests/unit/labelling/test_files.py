"""A user's file is told by its content, in every format and layout that spectra come in."""

import gzip
import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable, Table

from catalog_builder.ground.errors import InputError
from catalog_builder.labelling import files
from catalog_builder.labelling.columns import id_of_file, in_nanometres, medium_of
from catalog_builder.labelling.files import GivenTable, read_tables
from catalog_builder.labelling.output import write_table
from catalog_builder.labelling.raw import RawSpectrum, StarTable, read_given
from catalog_builder.labelling.stars import find_stars
from tests.unit.labelling.conftest import SOURCE, star

FORMATS = {"csv": "ascii.csv", "ecsv": "ascii.ecsv", "fits": "fits", "vot": "votable"}


def spectra_of(path, release):
    read = [read_given(each, release) for each in read_tables(path)]
    return [raw for one in read if not isinstance(one, StarTable) for raw in one]


@pytest.mark.parametrize("ending", [*FORMATS, "parquet", "csv.gz", "zip"])
def test_one_spectrum_in_every_format(native, release, tmp_path, ending):
    name = f"RVS-Gaia DR3 {SOURCE}.{ending}"
    path = tmp_path / name
    table = native.copy()
    if ending in {"csv.gz", "zip"}:
        text = io.StringIO()
        table.write(text, format="ascii.csv")
        content = text.getvalue().encode()
        if ending == "zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr(f"folder/{name[:-3]}csv", content)
        else:
            path.write_bytes(gzip.compress(content))
    else:
        table.write(path, format=FORMATS.get(ending, ending))
    (raw,) = spectra_of(path, release)
    assert isinstance(raw, RawSpectrum)
    assert raw.source_id == SOURCE
    np.testing.assert_allclose(raw.arrays["wavelength"], native["wavelength"], rtol=1e-12)
    np.testing.assert_array_equal(raw.arrays["flux"].astype(np.float32), native["flux"])


def test_an_image_with_errors_beside_it(release, tmp_path, wave):
    primary = fits.PrimaryHDU(star(wave).astype(np.float32))
    step = np.log10(wave[1] / wave[0])
    primary.header.update({"CRVAL1": np.log10(10 * wave[0]), "CDELT1": step, "CRPIX1": 1.0})
    primary.header.update({"CTYPE1": "AWAV-LOG", "DC-FLAG": 1, "CUNIT1": "Angstrom"})
    variance = fits.ImageHDU(np.full(wave.size, 1e-4, np.float32), name="VAR")
    fits.HDUList([primary, variance]).writeto(tmp_path / "a.fits")
    (raw,) = spectra_of(tmp_path / "a.fits", release)
    np.testing.assert_allclose(raw.arrays["wavelength"], wave, rtol=1e-9)
    np.testing.assert_allclose(raw.arrays["flux_error"], 0.01, rtol=1e-5)
    assert raw.medium == "air"


def test_several_spectra_in_long_and_in_wide_tables(native, release, tmp_path):
    names = np.repeat(["b", "a"], len(native))
    both = {column: np.tile(native[column], 2) for column in native.colnames}
    Table({"name": names, **both, "snr": np.full(len(names), 30.0)}).write(tmp_path / "long.csv")
    wide = {column: np.stack([native[column]] * 2) for column in native.colnames}
    Table({"name": ["b", "a"], **wide, "grvs_mag": [9.0, np.nan]}).write(tmp_path / "wide.fits")
    long, wide = (spectra_of(tmp_path / name, release) for name in ("long.csv", "wide.fits"))
    assert [raw.name for raw in long] == [raw.name for raw in wide] == ["b", "a"]
    for one, other in zip(long, wide, strict=True):
        np.testing.assert_allclose(one.arrays["flux"], other.arrays["flux"])
    assert long[0].sig_to_noise == 30.0
    assert [wide[0].beside["grvs_mag"], np.isnan(wide[1].beside["grvs_mag"])] == [9.0, True]
    assert "star b" in long[0].where


def test_lists_in_cells_of_text(release, tmp_path):
    flux, short = np.arange(343.0) + 1, "(1.0, NaN, 3)"
    rows = [f'5,"{flux.tolist()}","{np.ones(343).tolist()}"', f'6,"{short}","[1, null, 1]"']
    (tmp_path / "a.csv").write_text("\n".join(["source_id,flux,flux_error", *rows]))
    first, second = spectra_of(tmp_path / "a.csv", release)
    np.testing.assert_array_equal(first.arrays["flux"], flux)
    np.testing.assert_array_equal(second.arrays["flux"], [1, np.nan, 3])
    assert [first.source_id, second.source_id] == [5, 6]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        (f"{SOURCE}\n{SOURCE + 1}\n", [SOURCE, SOURCE + 1]),
        (f"source_id\n{SOURCE}\n", [SOURCE]),
        (f"SOURCE_ID;ra\n{SOURCE};1.5\n{SOURCE};1.5\n", [SOURCE, SOURCE]),
        (f"designation,x\nGaia DR3 {SOURCE},1\n,2\n", [SOURCE, 0]),
        (f"# source_id\n{SOURCE}\n", [SOURCE]),
    ],
)
def test_ids_in_text(release, tmp_path, text, ids):
    (tmp_path / "ids.txt").write_text(text)
    (given,) = read_tables(tmp_path / "ids.txt")
    table = read_given(given, release)
    assert isinstance(table, StarTable)
    assert table.ids.tolist() == ids


def test_columns_of_the_archive_are_taken_in_their_units(release):
    table = Table({"SOURCE_ID": [5], "Parallax": [0.002], "phot_g_mean_mag": [11.0]})
    table["Parallax"].unit = "arcsec"
    read = read_given(GivenTable("a", table), release)
    assert read.beside["parallax"] == pytest.approx(2.0)
    assert read.beside["phot_g_mean_mag"].dtype == np.float32
    table["Parallax"].unit = "mag"
    with pytest.raises(InputError, match=r"a: column Parallax is in 'mag', not in mas"):
        read_given(GivenTable("a", table), release)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "a.dat holds no table|cannot be read"),
        (b"source_id\n", "holds no table"),
        (b"1.0 2.0 3.0\n2.0 3.0 4.0\n", "does not name the columns"),
        (b"x,y\n1,2\n", "neither spectra .* nor stars .*it has x, y"),
        (b"source_id,teff\n1.5,2\n", "floating-point numbers"),
        (b"source_id\nGaia 12 b\n", "no source id"),
        (b"SIMPLE  =  nonsense", "cannot be read"),
        (b"PK\x03\x04 nonsense", "cannot be unpacked"),
        (b"\x1f\x8b nonsense", "cannot be read"),
        (b"PAR1 nonsense", "cannot be read"),
        (b"<?xml version='1.0'?><VOTABLE><nonsense>", "cannot be read"),
        (b"\xff\xfe\x00binary", "cannot be read"),
        (b'source_id,flux\n1,"[1, b]"\n', r"column flux, row 1 has '\[1, b\]': no number"),
        (b"wavelength,flux\n850,high\n851,low\n", "column flux, row 1 has 'high': no number"),
        (b"wavelength,flux\n850,1.0\n851,low\n", "column flux, row 2 has 'low': no number"),
    ],
)
def test_what_cannot_be_read_is_named(release, tmp_path, content, match):
    (tmp_path / "a.dat").write_bytes(content)
    with pytest.raises(InputError, match=match):
        spectra_of(tmp_path / "a.dat", release)


def test_units_of_wavelengths():
    for values, unit in (([860.0], ""), ([8600.0], ""), ([0.86], ""), ([8600.0], "Angstrom")):
        assert in_nanometres(np.array(values), unit, "a")[0] == pytest.approx(860.0)
    assert in_nanometres(np.array([8.6e-7]), "m", "a")[0] == pytest.approx(860.0)
    assert in_nanometres(np.array([8600.0]), "Angstroms", "a")[0] == pytest.approx(860.0)
    assert in_nanometres(np.array([860.0]), "NM", "a")[0] == pytest.approx(860.0)
    with pytest.raises(InputError, match="no length"):
        in_nanometres(np.array([860.0]), "K", "a")


def test_whose_a_file_is(release):
    assert id_of_file(f"XP_SAMPLED-Gaia DR3 {SOURCE}.csv", {}, release) == SOURCE
    assert id_of_file(f"XP_SAMPLED-Gaia EDR3 {SOURCE}.csv", {}, release) == SOURCE
    assert id_of_file("night-20240112.fits", {"SOURCEID": str(SOURCE)}, release) == SOURCE
    assert id_of_file("night-20240112.fits", {}, release) == 0
    assert id_of_file("Gaia DR3 9999999999999999999.csv", {}, release) == 0  # no 64-bit integer


@pytest.mark.parametrize(
    ("name", "meta"),
    [(f"RVS-Gaia DR2 {SOURCE}.csv", {}), ("a.fits", {"SOURCE_ID": f"Gaia DR2 {SOURCE}"})],
)
def test_a_file_of_a_star_of_another_release_is_refused(release, name, meta):
    with pytest.raises(InputError, match=r"DR2 .*no id of Gaia Data Release 3"):
        id_of_file(name, meta, release)


def packed(content, times=1):
    for _ in range(times):
        content = gzip.compress(content)
    return content


def zipped(content):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", content)
    return stream.getvalue()


@pytest.mark.parametrize("pack", [packed, zipped])
def test_what_unpacks_to_too_much_is_refused_before_it_is_unpacked(tmp_path, monkeypatch, pack):
    monkeypatch.setattr(files, "_UNPACKED_AT_LEAST", 1 << 16)
    rows = "\n".join(str(SOURCE + row) for row in range(1000))
    (tmp_path / "good").write_bytes(pack(f"source_id\n{rows}\n".encode()))
    assert len(read_tables(tmp_path / "good")[0].table) == 1000
    (tmp_path / "bomb").write_bytes(pack(b"1\n" * (1 << 22)))
    tracemalloc.start()
    with pytest.raises(InputError, match="unpacked it has more than"):
        read_tables(tmp_path / "bomb")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 << 20  # of 8 MiB


def test_files_packed_again_and_again_are_refused(tmp_path):
    (tmp_path / "a.gz").write_bytes(packed(b"source_id\n1\n", 2))
    assert len(read_tables(tmp_path / "a.gz")) == 1
    (tmp_path / "b.gz").write_bytes(packed(b"source_id\n1\n", 9))
    with pytest.raises(InputError, match="packed more than"):
        read_tables(tmp_path / "b.gz")


def test_rows_without_an_id_are_counted(release):
    table = Table({"source_id": np.ma.array([SOURCE, 0, 7], mask=[False, True, False])})
    found = find_stars([GivenTable("a.csv", table)], release, None)
    assert found.ids.tolist() == [SOURCE, 7]
    assert found.nameless == ["a.csv, row 1 has no source id."]


def test_a_table_is_written_beside_its_place_and_then_is_there(tmp_path, monkeypatch):
    table = QTable({"source_id": [1, 2]}, meta={"refused": []})
    write_table(table, tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]

    def full(self, path, **_):
        Path(path).write_text("half")
        raise OSError("No space left on device")

    monkeypatch.setattr(Table, "write", full)
    with pytest.raises(OSError, match="No space"):
        write_table(table, tmp_path / "other.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


@pytest.mark.parametrize("text", ["source_id teff", "source_id,teff", "# %ECSV 1.0"])
def test_a_single_line_is_no_name_of_a_file(tmp_path, monkeypatch, text):
    """astropy would open the file, or the URL, that it names."""
    monkeypatch.chdir(tmp_path)
    Table({"source_id": [SOURCE]}).write(tmp_path / text, format="ascii.csv")
    (tmp_path / "given.csv").write_text(text)
    with pytest.raises(InputError, match=r"given\.csv") as refusal:
        read_tables(tmp_path / "given.csv")
    assert "No such file" not in str(refusal.value)


@pytest.mark.parametrize(
    ("kind", "medium"),
    [
        *(("AWAV", "air"), ("AWAV-LOG", "air"), ("WAVE", "vacuum"), ("WAVE-LOG", "vacuum")),
        *(("WAVELENGTH", None), ("LINEAR", None)),
    ],
)
def test_a_header_says_the_medium_by_the_standards_codes(kind, medium):
    table = Table({"wavelength": [850.0], "flux": [1.0]}, meta={"CTYPE1": kind})
    assert medium_of(table, None) == medium


@pytest.mark.parametrize("word", ["Gaia DR3 {}", "Gaia EDR3 {}", "{}"])
def test_designations_of_the_release_are_ids(release, word):
    table = Table({"designation": [word.format(SOURCE)]})
    assert read_given(GivenTable("a", table), release).ids.tolist() == [SOURCE]


def test_designations_of_another_release_are_refused(release):
    table = Table({"designation": [f"Gaia DR3 {SOURCE}", f"Gaia DR2 {SOURCE}"]})
    with pytest.raises(InputError, match=r"a: designation has 'Gaia DR2 .*of Gaia Data Release 3"):
        read_given(GivenTable("a", table), release)
