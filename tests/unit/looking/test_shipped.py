"""A description that comes with the program can be printed, copied and changed."""

import pytest

from catalog_builder.archive.release import load_release
from catalog_builder.ground.errors import ConfigError
from catalog_builder.looking.shipped import list_shipped, read_shipped


def test_a_description_is_printed_as_it_is(tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text(read_shipped("dr4"), encoding="utf-8")
    assert load_release(file).model_dump() == load_release("dr4").model_dump()
    assert "# Gaia Data Release 4" in read_shipped("dr4.yaml")


def test_of_one_name_the_folder_tells_which():
    assert "driving_tables:" in read_shipped("rave-dr6")
    assert "driving_tables:" not in read_shipped("simulations/rave-dr6")
    assert read_shipped("apogee-dr17") == read_shipped("labels/apogee-dr17")


def test_what_there_is():
    lines = {line.split()[0]: line for line in list_shipped().splitlines()}
    assert "dr3, dr4, " in lines["releases"]
    assert lines.keys() == {"releases", "labels", "comparisons", "simulations"}
    with pytest.raises(ConfigError, match="no description 'dr5'") as refusal:
        read_shipped("dr5")
    assert "`catalog-builder show` lists them" in refusal.value.way_out
