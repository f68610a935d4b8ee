"""A catalogue as a Dask DataFrame."""

import importlib.util

import numpy as np
import pytest

from catalog_builder import open_lazy, open_table
from catalog_builder.ground.errors import CatalogueError, ConfigError


def test_it_has_the_values_of_the_catalogue(pristine, make_rows, schema):
    frame = open_lazy(pristine)
    assert list(frame.columns) == [column.name for column in schema.all_columns]
    assert (frame.npartitions, frame.divisions) == (3, (0, 10, 20, 22))
    read, rows = frame.compute(scheduler="synchronous"), make_rows(23)
    for name in schema.names:
        assert read[name].dtype == rows[name].dtype
        np.testing.assert_array_equal(read[name], rows[name], err_msg=name)
    table = open_table(pristine, ["training_range"])
    assert read["training_range"].tolist() == table["training_range"].tolist()


def test_rows_and_columns_can_be_chosen(pristine, make_rows):
    frame = open_lazy(pristine, ["logg", "training_range"], where="gold and m_h is not null")
    read, rows = frame.compute(scheduler="synchronous"), make_rows(23)
    kept = (rows["quality_tier"] == 1) & ~np.isnan(rows["m_h"])
    assert list(read.columns) == ["logg", "training_range"]
    assert read.index.tolist() == np.flatnonzero(kept).tolist()
    assert read["logg"].tolist() == rows["logg"][kept].tolist()
    nothing = open_lazy(pristine, ["logg"], where="teff < -1").compute(scheduler="synchronous")
    assert len(nothing) == 0


def test_what_is_wrong_is_said_before_anything_is_read(pristine):
    with pytest.raises(CatalogueError, match="Did you mean teff"):
        open_lazy(pristine, ["tef"])
    with pytest.raises(ConfigError, match=r"Give a list of names: \['teff'\]"):
        open_lazy(pristine, "teff")
    with pytest.raises(ConfigError, match="Did you mean gold"):
        open_lazy(pristine, where="golden")


@pytest.mark.skipif(importlib.util.find_spec("lsdb") is not None, reason="LSDB is there")
def test_lsdb_is_asked_for_and_not_there(pristine):
    with pytest.raises(ConfigError, match="LSDB is not installed"):
        open_lazy(pristine, lsdb=True)


@pytest.mark.filterwarnings("ignore")  # what LSDB has not heard of pandas 3 yet
def test_with_lsdb(tmp_path, full_schema, publish_rows):
    pytest.importorskip("lsdb")
    target = publish_rows(tmp_path / "dr3" / "v1", full_schema, formats=("hats",))
    stars = open_lazy(target, ["source_id", "teff"], where="gold").compute()
    kept = open_table(target, ["source_id", "teff"], where="gold")
    assert list(stars.columns) == ["source_id", "teff"]
    found = dict(zip(stars["source_id"], stars["teff"], strict=True))
    assert found == dict(zip(kept["source_id"], kept["teff"].value, strict=True))
