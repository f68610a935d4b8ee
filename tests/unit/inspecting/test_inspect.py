"""`inspect` says what an archive has, and drafts a description that loads."""

import gzip
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from catalog_builder import cli
from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.readers import read_blocks
from catalog_builder.archive.release import load_release
from catalog_builder.archive.spectra import LineSpectrum
from catalog_builder.ground.errors import InputError
from catalog_builder.inspecting.gate import examine_archive
from catalog_builder.inspecting.inspect import inspect_archive
from tests.unit.inspecting.conftest import BIAS, FALLBACK, described, mas, with_bias
from tests.unit.inspecting.unforeseen import put_elsewhere


def drafted(found, tmp_path):
    file = tmp_path / "drafted.yaml"
    file.write_text(found.draft)
    return load_release(file)


@pytest.fixture(scope="module")
def known(sky):
    return inspect_archive(str(sky), load_release("dr3"))


@pytest.fixture(scope="module")
def elsewhere(sky, tmp_path_factory):
    return put_elsewhere(sky, tmp_path_factory.mktemp("odd") / "archive")


@pytest.fixture(scope="module")
def unforeseen(elsewhere):
    return inspect_archive(str(elsewhere), load_release("dr3"))


def test_a_known_archive_is_found_as_it_is_described(known, sky, tmp_path):
    assert known.problem is None
    release, own = load_release("dr3"), drafted(known, tmp_path)
    for table in release.tables:
        assert own.tables[table].columns == release.tables[table].columns
    assert own.spectra == release.spectra
    assert own.partition.source_id_shift == 43
    names = [[part.name for part in list_partitions(str(sky), spec)] for spec in (release, own)]
    assert names[0] == names[1]
    for words in (
        "values 31 (",
        "_MD5SUM.txt",
        "100.0% of the ids lie in the range",
        "probably         846 + 0.01 i nm, vacuum",
        "frame            rest",
        "by grvs_mag",
        "100% of the correlations are positive definite",
        "AGAINST dr3: Looked at",
    ):
        assert words in known.text


def test_each_line_of_a_draft_says_where_it_is_from(known):
    lines = [line for line in known.draft.splitlines() if line and line.lstrip()[0] != "#"]
    for line in lines:
        if not line.rstrip().endswith(":"):
            assert re.search(r"  # (found|dr3|to be checked)", line), line


def test_an_unforeseen_archive_gives_a_draft_that_reads_it(unforeseen, elsewhere, tmp_path):
    own = drafted(unforeseen, tmp_path)
    assert "phot_g_mean_mag is g_mag? (likeness 0.90)" in unforeseen.text
    assert "n.a." in own.text.null_tokens
    assert own.joined_tables == ("flags",)
    assert own.spectra["rvs"].products[0].announced_by.values == (3,)
    rvs = own.spectra["rvs"]
    assert (rvs.grid.start, rvs.grid.step, rvs.grid.count) == (846.0, 0.025, 961)
    assert own.spectra["xp"].products[0].bands == {"bp": 51, "rp": 55}
    assert own.spectra["xp"].products[0].basis.path == "xp_51_55.npz"
    assert "coefficients need matrices that are not shipped" in unforeseen.draft
    partitions = list_partitions(str(elsewhere), own)
    assert examine_archive(partitions, own).findings == []
    # And a reader gives with it what was written.
    (block, *_) = read_blocks(partitions[0].files["gaia_source"][0], "gaia_source", own)
    assert np.isfinite(block.columns["phot_g_mean_mag"]).all()
    assert np.isnan(block.columns["pseudocolour"]).any()
    assert block.rejects.rows.size == 0


def test_a_lean_archive_with_names_of_its_own_gives_a_draft(tmp_path):
    """A few columns in files of any name are not like a table of 34, and no other is nearer."""
    archive, ids = tmp_path / "archive", np.arange(1, 81) << 52
    rng = np.random.default_rng(1)
    tables = {
        "objects": {
            "OBJECT": ids,
            **{
                name: rng.uniform(5, 10, ids.size) for name in ("RAJ2000", "DEJ2000", "PLX", "GMAG")
            },
        },
        "spec1d": {
            "OBJECT": ids,
            "FLUX": rng.normal(1, 0.01, (ids.size, 2401)).tolist(),
            "SIGMA": np.full((ids.size, 2401), 0.01).tolist(),
        },
    }
    for name, columns in tables.items():
        (archive / name).mkdir(parents=True)
        pl.DataFrame(columns).write_parquet(archive / name / f"{name}_0.parquet")
    own = drafted(inspect_archive(str(archive), load_release("dr3")), tmp_path)
    assert own.tables[own.source_table].folders == ("objects",)
    assert own.tables[own.source_table].columns["parallax"].names == ("PLX",)
    assert own.driving_tables == ("rvs_mean_spectrum",)  # by its length; XP has 343 samples
    assert own.partition.layout == "anywhere"


@pytest.mark.parametrize(
    ("shift", "start"), [(0.0125, 846.0125), (0.2, 846.2), (-0.2325, 846.0)], ids=str
)
def test_where_a_grid_begins(sky, tmp_path, shift, start):
    """Half a sample; 0.2 nm; and wavelengths that are round in air."""
    archive = put_elsewhere(sky, tmp_path / "odd", shift=shift)
    found = inspect_archive(str(archive), load_release("dr3"))
    rvs = drafted(found, tmp_path).spectra["rvs"]
    assert isinstance(rvs, LineSpectrum)
    if shift < 0:
        assert rvs.medium == "vacuum"
        assert rvs.grid.start == pytest.approx(845.7675, abs=0.003)
    else:
        assert rvs.grid.start == start
    assert rvs.grid.step == 0.025


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda content: content["spectra"]["rvs"]["grid"].update(start=846.2),
            ["(off)", "spectra.rvs.grid:"],
        ),
        (
            lambda content: content["spectra"]["rvs"].update(medium="air"),
            ["medium: vacuum"],
        ),
        (
            lambda content: content["tables"]["gaia_source"]["columns"]["grvs_mag"].update(
                names=["g_rvs_mag"]
            ),
            ["grvs_mag is grvs_mag? (likeness 0.9"],
        ),
        (
            lambda content: content["partition"].update(
                source_id_shift=35, healpix_level=8, position_shift=35, position_level=8
            ),
            ["source_id >> 43", "brings all of them there, HEALPix level 8"],
        ),
    ],
)
def test_a_wrong_description_shows(sky, tmp_path, change, words):
    found = inspect_archive(str(sky), described(tmp_path, change))
    for each in words:
        assert each in found.text
    own = drafted(found, tmp_path)
    assert own.spectra["rvs"].grid.start == 846.0
    assert own.spectra["rvs"].medium == "vacuum"
    assert own.partition.source_id_shift == 43


def test_other_spellings_are_found(sky, tmp_path):
    archive = Path(shutil.copytree(sky, tmp_path / "archive"))
    for path in (archive / "gdr3/gaia_source").glob("GaiaSource_*"):
        content = gzip.decompress(path.read_bytes())
        content = content.replace(b"True", b"Ja").replace(b"False", b"Nein")
        path.write_bytes(gzip.compress(content.replace(b"null", b"MISSING"), 1))
    found = inspect_archive(str(archive), load_release("dr3"))
    text = drafted(found, tmp_path).text
    assert ("ja" in text.true_tokens, "nein" in text.false_tokens) == (True, True)
    assert "missing" in text.null_tokens
    assert "are no bool (Ja, Nein)" in found.text


def test_tables_in_different_layouts_are_read_as_if_not_cut(elsewhere, tmp_path):
    for path in elsewhere.rglob("rvs-*.parquet"):
        folder = tmp_path / "archive/rvs/dataset" / f"region={path.stem[-4:]}"
        folder.mkdir(parents=True)
        shutil.copy(path, folder / "part.parquet")
    shutil.copytree(elsewhere / "objects", tmp_path / "archive/objects")
    found = inspect_archive(str(tmp_path / "archive"), load_release("dr3"))
    assert "rvs/dataset/*/part*.parquet" in found.text
    own = drafted(found, tmp_path)
    assert own.partition.layout == "anywhere"
    assert "layout: anywhere" in found.draft
    (whole,) = list_partitions(str(tmp_path / "archive"), own)
    assert len(whole.files["rvs_mean_spectrum"]) == len(list(elsewhere.rglob("rvs-*.parquet")))


def test_a_table_of_old_ids_that_is_not_there_is_left_out(sky):
    found = inspect_archive(str(sky), load_release("dr4"))
    assert "crosswalks.dr3 was left out: labels of dr3 cannot be carried over" in found.draft
    assert "crosswalks:" not in found.draft


def test_what_is_no_archive(tmp_path):
    with pytest.raises(InputError, match="has no files of tables"):
        inspect_archive(str(tmp_path), load_release("dr3"))
    with pytest.raises(InputError, match="not there"):
        inspect_archive(str(tmp_path / "none"), load_release("dr3"))
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    found = inspect_archive(str(tmp_path), load_release("dr3"))
    assert "like no described table" in found.text
    assert "No table of the archive is like gaia_source" in str(found.problem)


def command(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["catalog-builder", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr()
    return end.value.code, said.out, said.err


def test_the_command_writes_a_draft_once(sky, tmp_path, monkeypatch, capsys):
    out = tmp_path / "mine.yaml"
    code, said, _ = command(monkeypatch, capsys, "inspect", sky, "--draft", out)
    assert (code or 0, "SPECTRA rvs" in said) == (0, True)
    assert said.splitlines()[-1].startswith("LABELS of APOGEE-2 DR17 allStar (synspec_rev1), for")
    assert load_release(out).name == "mine"
    code, _, said = command(monkeypatch, capsys, "inspect", sky, "--draft", out)
    assert (code, "exists" in said) == (3, True)
    code, _, said = command(monkeypatch, capsys, "inspect", sky, "--draft", tmp_path / "x.json")
    assert (code, "is no YAML file" in said) == (3, True)


def test_null_biases_get_a_fallback(archive, tmp_path):
    release = with_bias(archive, tmp_path, mas(-0.03))
    found = inspect_archive(str(archive), release)
    rule = drafted(found, tmp_path).parallax_zero_point
    assert rule.rule == "column"
    assert rule.fallback.rule == "lindegren2021"
    assert rule.fallback.inputs == load_release("dr3").parallax_zero_point.inputs
    assert re.search(rf"to be checked: 1[0-9]% of {BIAS} are null", found.draft)


def test_a_rule_whose_column_is_gone_leaves_its_fallback(sky, archive, tmp_path):
    release = with_bias(archive, tmp_path, mas(-0.03), fallback=FALLBACK)
    found = inspect_archive(str(sky), release)  # the sky of before has no such column
    rule = drafted(found, tmp_path).parallax_zero_point
    assert rule == load_release("dr3").parallax_zero_point
    said = rf"{BIAS} not found \(candidates: .*parallax.*\); the fallback is left"
    assert re.search(said, found.draft)


def test_a_fallback_whose_columns_are_gone_is_none(archive, tmp_path):
    with_bias(archive, tmp_path, mas(-0.03))

    def change(content):
        columns = content["tables"]["gaia_source"]["columns"]
        columns[BIAS] = {"dtype": "float64", "unit": "mas"}
        columns["galactic_weather"] = {"dtype": "float64"}
        inputs = {**FALLBACK["inputs"], "ecl_lat": "galactic_weather"}
        content["parallax_zero_point"] = {
            "rule": "column", "inputs": {"bias": BIAS}, "fallback": {**FALLBACK, "inputs": inputs},
        }  # fmt: skip

    found = inspect_archive(str(archive), described(tmp_path, change))
    rule = drafted(found, tmp_path).parallax_zero_point
    assert (rule.rule, rule.fallback.rule) == ("column", "none")
    assert "galactic_weather not found" in found.draft
