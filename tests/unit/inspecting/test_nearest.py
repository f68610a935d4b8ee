"""The nearest description is told by its path, not by the name that it bears."""

from catalog_builder.archive.release import load_written
from catalog_builder.inspecting.groups import find_groups
from catalog_builder.inspecting.match import look_at_group
from catalog_builder.inspecting.nearest import nearest_lines, rank_releases
from tests.unit.inspecting.conftest import described
from tests.unit.inspecting.made import make_archive


def test_an_own_file_does_not_hide_the_shipped_one_of_its_name(tmp_path):
    looked = [look_at_group(group) for group in find_groups(str(make_archive(tmp_path / "a")))]
    own = described(tmp_path, lambda content: content["tables"]["gaia_source"].update(stem="X"))
    names = [one.name for one in rank_releases(looked, own, "changed.yaml")]
    assert {"changed.yaml", own.name} <= set(names)
    names = [one.name for one in rank_releases(looked, load_written("dr3"), "dr3")]
    assert names.count("dr3") == 1


def test_where_nothing_is_like_any_there_is_no_heading():
    assert not list(nearest_lines(rank_releases([], load_written("dr3"), "dr3"), "dr3"))
