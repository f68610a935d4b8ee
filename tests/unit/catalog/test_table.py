"""The catalogue as an astropy table: units that compute, descriptions, UCDs, no warning."""

import io

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable, vstack

from catalog_builder import open_table
from catalog_builder.catalog.dex import DexQuantity
from catalog_builder.ground.errors import CatalogueError, ConfigError


@pytest.fixture(scope="module", params=["folder", "zarr", "fits"])
def table(request, pristine):
    """Read by each way in; a warning is an error in every test here."""
    names = {"folder": "", "zarr": "catalog.zarr", "fits": "catalog.fits"}
    return open_table(pristine / names[request.param])


def test_every_column_is_there_with_unit_words_and_ucd(table, schema):
    assert isinstance(table, QTable)
    assert table.colnames == [column.name for column in schema.all_columns]
    for column in schema.all_columns:
        assert table[column.name].info.description == column.description
        assert table[column.name].info.meta["ucd"] == column.ucd
    assert table["teff"].unit == u.K
    assert table["ra"].unit == u.deg
    assert table["source_id"].dtype == np.int64
    assert table["has_rvs"].dtype == bool
    assert table["training_range"].dtype.kind == "U"
    for name in ("logg", "e_logg", "m_h", "e_fe_h", "alpha_m"):
        assert table[name].unit == u.dex
        assert table[name].dtype == np.float32


def test_the_values_are_those_of_the_catalogue(table, make_rows):
    rows = make_rows(23)
    for name in table.colnames:
        if name == "training_range":
            continue
        values = getattr(table[name], "value", table[name])
        np.testing.assert_array_equal(np.asarray(values), rows[name], err_msg=name)
    assert np.isnan(table["m_h"].value[0])


def test_the_table_says_which_catalogue_it_is(pristine):
    assert open_table(pristine).meta["title"] == "A small catalogue"
    assert open_table(pristine / "catalog.fits").meta["VERSION"] == "v1"


def test_log_g_computes(table):
    logg = table["logg"]
    values = logg.value
    for limit in (0.5, np.float32(0.5), 0.5 * u.dex, 0.5 * u.dex(u.cm / u.s**2)):
        np.testing.assert_array_equal(logg > limit, values > 0.5)
        np.testing.assert_array_equal(logg <= limit, values <= 0.5)
    np.testing.assert_array_equal((logg > 0.2) & (logg < 0.5), (values > 0.2) & (values < 0.5))
    np.testing.assert_array_equal((10**logg).value, 10**values)
    assert (10**logg).unit == u.dimensionless_unscaled
    gravity = (10**logg * u.cm / u.s**2).to(u.m / u.s**2)
    np.testing.assert_allclose(gravity.value, 10 ** (values - 2), rtol=1e-6)
    difference = logg[1] - logg[0]
    assert difference.unit == u.dex
    assert difference.value == values[1] - values[0]
    np.testing.assert_array_equal(abs(logg - logg[0]) > 0.1, abs(values - values[0]) > 0.1)
    np.testing.assert_array_equal((logg - 0.25).value, values - np.float32(0.25))
    np.testing.assert_allclose(
        ((logg - 0.25) / table["e_logg"]).to_value(""),
        (values - 0.25) / table["e_logg"].value,
        rtol=1e-6,
    )
    for function in (np.mean, np.std, np.median, np.max):
        assert function(logg).unit == u.dex
        assert function(logg).value == function(values)
    np.testing.assert_array_equal(table["m_h"] < 0.5, table["m_h"].value < 0.5)


def test_equality_is_that_of_the_numbers(table):
    logg = table["logg"]
    assert (logg == logg.value[3]).tolist() == [n == 3 for n in range(23)]
    assert (logg == float(logg.value[3])).sum() == 1
    assert (logg != logg.value[3]).sum() == 22
    assert (logg == 5 * u.K) is False
    assert (logg != 5 * u.K) is True
    assert (logg == "high") is False


def test_what_cannot_be_compared_is_refused(table):
    with pytest.raises((u.UnitsError, TypeError)):
        _ = table["logg"] > 3 * u.K
    with pytest.raises((u.UnitsError, TypeError)):
        _ = table["teff"] > 5000
    with pytest.raises((u.UnitsError, TypeError)):
        _ = table["teff"] ** table["logg"]


def test_rows_keep_units_and_words(table):
    dwarfs = table[table["logg"] > 0.5]
    assert isinstance(dwarfs["logg"], DexQuantity)
    assert dwarfs["logg"].info.description == table["logg"].info.description
    assert "logg" in str(dwarfs["source_id", "logg"])
    both = vstack([table[:2], table[3:5]])
    assert both["logg"].unit == u.dex
    assert (both["logg"] > -1).all()


def test_a_copy_on_disk_is_read_by_astropy_alone(table):
    text = io.StringIO()
    table["source_id", "logg", "teff"].write(text, format="ascii.ecsv")
    again = QTable.read(text.getvalue(), format="ascii.ecsv")
    assert type(again["logg"]) is u.Quantity
    assert again["logg"].unit == u.dex
    assert again["logg"].info.description == table["logg"].info.description


def test_columns_can_be_chosen(pristine):
    for path in (pristine, pristine / "catalog.fits"):
        table = open_table(path, ["logg", "training_range", "source_id"])
        assert table.colnames == ["logg", "training_range", "source_id"]
        with pytest.raises(CatalogueError, match="no column tef, gravity"):
            open_table(path, ["tef", "teff", "gravity"])


def test_only_the_chosen_columns_are_read(sealed):
    (sealed / "catalog.zarr" / "teff" / "c" / "0").unlink()
    assert len(open_table(sealed, ["logg"])) == 23
    with pytest.raises(CatalogueError, match="is missing"):
        open_table(sealed, ["teff"])


@pytest.mark.parametrize("name", ["", "catalog.fits"])
def test_a_clean_table_has_nulls_where_a_flag_is(build, schema, name):
    from catalog_builder.publish.seal import seal

    flags = np.full(23, 15, dtype=np.int64)
    missing = np.arange(23) % 5 == 0
    flags[missing] |= schema.flags["m_h_not_available"].mask
    flags[3] |= schema.flags["logg_outside_range"].mask
    building, target, said = build(flags=flags)
    seal(building, target, said)
    clean = open_table(target / name, clean=True)
    assert np.flatnonzero(np.isnan(clean["logg"].value)).tolist() == [3]
    assert np.flatnonzero(np.isnan(clean["e_logg"].value)).tolist() == [3]
    assert np.isfinite(clean["teff"].value).all()


def test_no_catalogue_is_an_error_in_words(tmp_path, pristine):
    with pytest.raises(CatalogueError, match="not a sealed catalogue"):
        open_table(tmp_path)
    cut = tmp_path / "cut.fits"
    cut.write_bytes((pristine / "catalog.fits").read_bytes()[:3000])
    with pytest.raises(CatalogueError, match="cannot be read as the table"):
        open_table(cut)


@pytest.mark.parametrize("name", ["", "catalog.fits"])
def test_rows_can_be_chosen(pristine, make_rows, name):
    rows = make_rows(23)
    kept = np.flatnonzero((rows["quality_tier"] != 3) & ~np.isnan(rows["m_h"]))
    where = "quality_tier <= silver and not m_h_not_available"
    table = open_table(pristine / name, ["teff", "training_range"], where=where)
    assert table["teff"].value.tolist() == rows["teff"][kept].tolist()
    some = open_table(pristine / name, ["teff"], where=where, rows=slice(5, 12))
    assert some["teff"].value.tolist() == rows["teff"][kept[(kept >= 5) & (kept < 12)]].tolist()
    assert len(open_table(pristine / name, ["teff"], rows=(20, 99))) == 3
    assert len(open_table(pristine / name, ["teff"], where="training_range == '0000000'")) == 18
    with pytest.raises(CatalogueError, match="step"):
        open_table(pristine / name, rows=slice(0, 9, 2))
    with pytest.raises(ConfigError, match="Did you mean teff"):
        open_table(pristine / name, where="tef > 3")
    with pytest.raises(ConfigError, match=r"the text 'teff,logg'.*\['teff', 'logg'\]"):
        open_table(pristine / name, "teff,logg")


def test_nulls_can_be_masked(pristine, make_rows):
    rows = make_rows(23)
    null = np.isnan(rows["m_h"])
    table = open_table(pristine, ["m_h", "teff", "e_m_h", "source_id"], masked=True)
    assert table["m_h"].unit == u.dex
    np.testing.assert_array_equal(table["m_h"].mask, null)
    np.testing.assert_array_equal(table["m_h"].unmasked.value[~null], rows["m_h"][~null])
    assert not hasattr(table["teff"], "mask")  # it has none to mask
    mean = float(table["m_h"].mean().unmasked.value)
    assert mean == pytest.approx(np.nanmean(rows["m_h"]), rel=1e-6)
    assert (table["m_h"] > 0.5).filled(False).sum() == (rows["m_h"] > 0.5).sum()
