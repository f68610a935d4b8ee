"""A table with old and new identifiers becomes a crosswalk of the draft."""

import pytest

from catalog_builder.archive.release import load_release
from catalog_builder.inspecting.draft_crosswalks import draft_crosswalks
from catalog_builder.inspecting.drafting import Draft
from catalog_builder.inspecting.groups import find_groups
from catalog_builder.inspecting.match import look_at_group

NEIGHBOURS = (
    "dr3_source_id,SOURCE_ID,angular_distance,mag_difference,probable_match\n"
    "34361129088,34361129089,12.5,0.01,true\n"
    "38655544960,38655544961,80.0,-0.2,false\n"
)


@pytest.fixture
def others(tmp_path):
    """Return what looking at an archive with such a table, and another, gives."""
    (tmp_path / "neighbours").mkdir()
    (tmp_path / "neighbours" / "Neighbours_0-100.csv").write_text(NEIGHBOURS)
    (tmp_path / "flags").mkdir()
    (tmp_path / "flags" / "Flags_0-100.csv").write_text("source_id,a\n34361129088,1\n")
    return [look_at_group(group) for group in find_groups(str(tmp_path))]


def drafted(others):
    release = load_release("dr3")
    draft = Draft(release.model_dump(mode="json", exclude_defaults=True))
    draft_crosswalks(draft, others, release)
    return draft


def test_the_table_with_the_older_release_s_ids_is_the_crosswalk(others):
    content = drafted(others).content
    assert content["crosswalks"] == {
        "dr3": {
            "table": "neighbours",
            "old": "dr3_source_id",
            "new": "source_id",
            "distance": "angular_distance",
            "magnitude_difference": "magnitude_difference",
            "probable": "probable_match",
        }
    }
    table = content["tables"]["neighbours"]
    assert table["folders"] == ["neighbours"]
    assert table["columns"]["magnitude_difference"]["names"] == ["mag_difference"]


def test_without_such_a_table_there_is_none(others):
    assert "crosswalks" not in drafted(others[:0]).content
    assert "flags" not in drafted(others).content["tables"]
