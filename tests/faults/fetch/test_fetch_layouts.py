"""Fetch of archives in folders by region, and of HATS."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.release import load_release
from catalog_builder.fetch.driver import FetchReport, fetch_archive
from catalog_builder.ground.errors import InputError
from tests.layouts import describe, description

TABLES = ("gaia_source", "rvs_mean_spectrum")
PLACES = {
    "regions": ["region=0/a.parquet", "region=0/b.parquet", "region=10/a.parquet"],
    "hats": [
        "dataset/Norder=0/Dir=0/Npix=0.parquet",
        "dataset/Norder=1/Dir=0/Npix=4/part-0.parquet",
        "dataset/Norder=1/Dir=0/Npix=4/part-1.parquet",
    ],
}


def filled(site: Any, layout: str, *, one_list: bool) -> Any:
    """Give a server two tables, with a checksum list for each or in each folder."""
    top = "gdr4" if layout == "regions" else "hats"
    for table in TABLES:
        contents = {place: f"{table} {place}".encode() * 99 for place in PLACES[layout]}
        if one_list:
            site.add_table(f"{top}/{table}", contents)
            continue
        for folder in {place.rpartition("/")[0] for place in contents}:
            inside = {
                place.removeprefix(f"{folder}/"): content
                for place, content in contents.items()
                if place.startswith(f"{folder}/")
            }
            site.add_table(f"{top}/{table}/{folder}", inside)
    return site


@pytest.fixture
def bring(settings: Any, tmp_path: Path) -> Any:
    def call(site: Any, layout: str, **options: Any) -> FetchReport:
        content = description(layout)
        content["checksums"] = {"file_name": "_MD5SUM.txt", "algorithm": "md5"}
        release = load_release(describe(tmp_path, content))
        given = {"settings": settings, "tables": TABLES, "allow_http": True, **site.addresses}
        return fetch_archive(release, None, tmp_path / "out", **(given | options))

    return call


@pytest.mark.parametrize("layout", ["regions", "hats"])
@pytest.mark.parametrize("one_list", [True, False])
def test_a_whole_archive(
    empty_site: Any, bring: Any, tmp_path: Path, layout: str, one_list: bool
) -> None:
    site = filled(empty_site, layout, one_list=one_list)
    report = bring(site, layout)
    assert report.unverified == ()
    assert site.is_whole(tmp_path / "out")
    release = load_release(tmp_path / "layout.yaml")
    partitions = list_partitions(str(tmp_path / "out"), release)
    assert [len(part.files["rvs_mean_spectrum"]) for part in partitions] == [
        2 if layout == "regions" else 1,
        1 if layout == "regions" else 2,
    ]
    for part in partitions:
        for files in part.files.values():
            for file in files:
                digest = hashlib.md5(Path(file.url).read_bytes()).hexdigest()
                assert file.checksum == f"md5:{digest}"


def test_a_part_of_the_sky(empty_site: Any, bring: Any, tmp_path: Path) -> None:
    filled(empty_site, "regions", one_list=True)
    bring(empty_site, "regions", ranges=("0-65535",))
    found = {path.parent.name for path in (tmp_path / "out").rglob("*.parquet")}
    assert found == {"region=0"}


def test_a_damaged_file_is_refused(empty_site: Any, bring: Any) -> None:
    filled(empty_site, "regions", one_list=True)
    key = f"gdr4/gaia_source/{PLACES['regions'][0]}"
    empty_site.files[key] = bytes(reversed(empty_site.files[key]))
    with pytest.raises(InputError, match="1 of 8 files could not be fetched"):
        bring(empty_site, "regions")
