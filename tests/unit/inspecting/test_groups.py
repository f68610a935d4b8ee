"""Which files of an archive are looked at: those behind its links, each once."""

from pathlib import Path

import pytest

from catalog_builder.inspecting.groups import find_groups


def table(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "stars_000-100.csv").write_text("source_id\n1\n")


def test_links_to_folders_are_followed_and_no_file_is_met_twice(tmp_path):
    archive = tmp_path / "archive"
    table(archive / "gaia_source")
    table(tmp_path / "disk" / "rvs" / "deep")
    (archive / "rvs_mean_spectrum").symlink_to(tmp_path / "disk" / "rvs")
    (tmp_path / "disk" / "rvs" / "back").symlink_to(archive)  # in a circle
    (tmp_path / "disk" / "rvs" / "same").symlink_to(tmp_path / "disk" / "rvs" / "deep")
    (archive / "again").symlink_to(archive / "gaia_source")
    found = {place for group in find_groups(str(archive)) for place in group.places.values()}
    assert found == {
        "gaia_source/stars_000-100.csv",
        "rvs_mean_spectrum/deep/stars_000-100.csv",
    }


@pytest.mark.parametrize(
    ("names", "stem"),
    [
        (["Dr3Neighbourhood_0-1", "Dr3Neighbourhood_2-3"], "Dr3Neighbourhood_"),
        (["part-00000-a1b2", "part-00001-c3d4"], "part-"),
        (["3f2a91bc", "a4d20e77", "b81c"], ""),
    ],
)
def test_what_files_in_folders_of_pieces_begin_with(tmp_path, names, stem):
    for number, name in enumerate(names):
        folder = tmp_path / f"things/region={number}"
        folder.mkdir(parents=True)
        (folder / f"{name}.csv").write_text("source_id\n1\n")
    (group,) = find_groups(str(tmp_path))
    assert group.stem == stem
