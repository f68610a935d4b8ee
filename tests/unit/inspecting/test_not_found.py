"""A draft is written whenever something was found, and says where and what was not."""

import sys

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from catalog_builder import cli
from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.release import load_release
from catalog_builder.features import matrices
from catalog_builder.fetch.settings import FetchSettings
from catalog_builder.ground.resources import schemas_dir
from catalog_builder.inspecting.gate import examine_archive
from catalog_builder.inspecting.groups import find_groups
from catalog_builder.inspecting.inspect import inspect_archive
from catalog_builder.inspecting.match import look_at_group, match_table, match_tables
from tests.unit.inspecting.made import IDS, ROWS, SAMPLES, array, make_archive

NAMELESS = {"flux": "a", "flux_error": "b"}


def loaded(found, tmp_path):
    file = tmp_path / "drafted.yaml"
    file.write_text(found.draft)
    return load_release(file)


def line_of(draft, key):
    return next(line for line in draft.splitlines() if line.strip().startswith(f"{key}:"))


@pytest.mark.parametrize("form", ["parquet", "fits", "csv"])
def test_renamed_spectra_are_found_in_every_form(tmp_path, form):
    names = {"flux": "spectrum", "flux_error": "spectrum_error", "parallax": "plx"}
    archive = make_archive(tmp_path / "archive", names, form=form)
    found = inspect_archive(str(archive), load_release("dr4"))
    assert (found.problem, found.lacking) == (None, ())
    table = loaded(found, tmp_path).tables["rvs_mean_spectrum"]
    assert table.columns["flux"].names == ("spectrum",)
    assert table.columns["flux"].length == SAMPLES
    assert "renamed  flux is spectrum? (" in found.text


def test_a_column_that_is_needed_and_not_found_is_a_line_to_fill_in(tmp_path):
    archive = make_archive(tmp_path / "archive", NAMELESS)
    found = inspect_archive(str(archive), load_release("dr3"))
    own = loaded(found, tmp_path)  # with DR3's grid, of another length
    assert own.spectra["rvs"].grid.count == 2401
    assert found.lacking == tuple(
        f"tables.rvs_mean_spectrum.columns.{name}.names" for name in ("flux", "flux_error")
    )
    said = "NOT FOUND: write its name; candidates: a (array of 961), b (array of 961)"
    assert said in line_of(found.draft, "flux")
    assert "FILL IN, where lines are marked `NOT FOUND`: tables.rvs" in found.draft
    assert said.removeprefix("NOT FOUND: ") in found.text
    assert "/catalog-builder-" not in found.text + found.draft
    findings = examine_archive(list_partitions(str(archive), own), own).findings
    told = {finding.line: f"{finding.problem} {finding.way_out}" for finding in findings}
    words = told["tables.rvs_mean_spectrum.columns.flux.names"]
    assert "to be filled in which column is flux" in words
    assert "RvsMeanSpectrum_stars.parquet has source_id, a, b. Write the right one" in words


def test_what_was_found_beside_it_says_how_long_it_is(tmp_path):
    names = {"flux": None, "flux_error": "flux_unc"}
    more = {"ivar": array(), "other": array(), "another": array()}
    archive = make_archive(tmp_path / "archive", names, beside=more)
    found = inspect_archive(str(archive), load_release("dr3"))
    own = loaded(found, tmp_path)
    assert own.tables["rvs_mean_spectrum"].columns["flux"].length == SAMPLES
    assert own.spectra["rvs"].grid.count == SAMPLES
    for name in more:
        assert f"{name} (array of 961)" in line_of(found.draft, "flux")


def test_rules_whose_columns_are_not_found_say_so_at_their_place(tmp_path):
    names = {"phot_g_mean_mag": "brightness", "parallax": "distance_angle", "parallax_error": None}
    archive = make_archive(tmp_path / "archive", names)
    found = inspect_archive(str(archive), load_release("dr4"))
    own = loaded(found, tmp_path)
    assert (own.parallax, dict(own.photometry)) == (False, {})
    assert "photometry was left out: phot_g_mean_mag not found" in found.draft
    assert "parallax not found" in line_of(found.draft, "parallax")
    assert "      # phot_g_mean_mag NOT FOUND; " in found.draft  # among the table's columns
    assert "to be checked: NOT FOUND, null for every star" in line_of(found.draft, "vbroad")


@pytest.mark.parametrize(
    ("table", "other", "candidate"),
    [
        ("gaia_source", "rvs_mean_spectrum", "none"),  # no file has arrays
        ("rvs_mean_spectrum", "gaia_source", "elsewhere/things_of_mine*.csv (likeness 0."),
    ],
)
def test_of_a_table_that_is_needed_the_candidates_are_named(tmp_path, table, other, candidate):
    archive = make_archive(tmp_path / "archive", tables=(table,))
    (archive / "elsewhere").mkdir()
    (archive / "elsewhere/things_of_mine.csv").write_text("source_id,x\n1,2\n")
    found = inspect_archive(str(archive), load_release("dr4"))
    assert f"tables.{other}.folders" in found.lacking
    assert f"NOT FOUND: no files are like it; candidates: {candidate}" in found.draft
    assert loaded(found, tmp_path).tables[table].folders == (table,)


def test_a_draft_that_does_not_load_is_written_all_the_same(tmp_path, monkeypatch, capsys):
    archive = make_archive(
        tmp_path / "archive", {"flux_error": None}, beside={"flux_error": array(7)}
    )
    out = tmp_path / "mine.yaml"
    monkeypatch.setattr(
        sys, "argv", ["catalog-builder", "inspect", str(archive), "--draft", str(out)]
    )
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr()
    assert end.value.code == 3
    assert f"Draft: {out}" in said.out
    assert "The draft is not complete: tables." in said.err
    assert "/catalog-builder-" not in said.err
    assert "flux: {" in out.read_text()


def test_what_is_told_of_an_archive_at_a_glance(tmp_path):
    """The nearest release, the epoch, columns that are copies, simulated stars, no matrices."""
    copies = {name: np.linspace(1, 2, ROWS) for name in ("snr", "expected_snr")}
    for values in copies.values():
        values[3] = np.nan
    more = {**copies, "ref_epoch": np.full(ROWS, 2017.25)}
    archive = make_archive(tmp_path / "archive", beside=more)
    (archive / "SIMULATED.json").write_text("{}")
    found = inspect_archive(str(archive), load_release("dr3"))
    assert "\n  nearest is dr4: compare with it by `--release dr4`" in found.text
    assert "equal in all rows  snr = expected_snr" in found.text
    assert "found in ref_epoch" in line_of(found.draft, "reference_epoch")
    assert loaded(found, tmp_path).reference_epoch == 2017.25
    assert found.text.startswith("SIMULATED STARS: simulated by")


def test_a_draft_has_all_lines_of_the_older_release(tmp_path):
    archive = make_archive(tmp_path / "archive")
    own = loaded(inspect_archive(str(archive), load_release("dr4")), tmp_path)
    older = load_release("dr4")
    assert own.acknowledgement == older.acknowledgement
    assert own.references == older.references
    for spec in (own, older):
        assert "medium" in spec.spectra["rvs"].model_fields_set
        assert "parallax" in spec.model_fields_set
        assert "delimiter" in spec.text.model_fields_set


def with_coefficients(archive):
    lengths = {"bp": 51, "rp": 55}
    columns = {"source_id": IDS}
    for band, count in lengths.items():
        columns[f"{band}_coefficients"] = array(count)
        columns[f"{band}_coefficient_errors"] = array(count)
        columns[f"{band}_coefficient_correlations"] = array(count * (count - 1) // 2)
    (archive / "xp_continuous_mean_spectrum").mkdir()
    file = archive / "xp_continuous_mean_spectrum/XpContinuousMeanSpectrum_stars.parquet"
    pl.DataFrame({k: v.tolist() for k, v in columns.items()}).write_parquet(file)
    return archive


def test_matrices_that_are_not_there_are_one_contradiction_among_others(tmp_path):
    archive = with_coefficients(make_archive(tmp_path / "archive"))
    found = inspect_archive(str(archive), load_release("dr4"))
    assert "51, described 51 of the matrices xp_dr4.npz, which are NOT THERE" in found.text
    gate = found.text.partition("AGAINST THE DRAFT: ")[2]
    assert gate.startswith("Looked at ")
    assert "  spectra.xp.products.0.basis: The matrices xp_dr4.npz" in gate
    assert "neither beside the description nor in the archive." in gate
    assert "take their table from `driving_tables`" in gate


def test_matrices_at_an_address_that_does_not_answer_are_one_too(tmp_path, monkeypatch):
    monkeypatch.setattr(matrices, "_PATIENCE", FetchSettings(attempts=1))
    file = tmp_path / "own.yaml"
    text = (schemas_dir() / "releases/dr4.yaml").read_text()
    file.write_text(text.replace("path: xp_dr4.npz", "path: 'https://127.0.0.1:9/xp_dr4.npz'"))
    archive = with_coefficients(make_archive(tmp_path / "archive"))
    found = inspect_archive(str(archive), load_release(file))
    assert found.draft
    gate = found.text.partition("AGAINST THE DRAFT: ")[2]
    assert "  spectra.xp.products.0.basis: https://127.0.0.1:9/xp_dr4.npz failed" in gate


def test_values_that_announce_are_told_apart_by_whether_they_were_found(tmp_path):
    archive = make_archive(tmp_path / "archive")
    (archive / "all_source_flags").mkdir()
    flags = {"source_id": IDS, "has_rvs": np.arange(ROWS) % 2, "has_xp": np.arange(ROWS) < 9}
    pl.DataFrame(flags).write_parquet(archive / "all_source_flags/AllSourceFlags_stars.parquet")
    found = inspect_archive(str(archive), load_release("dr4"))
    said = loaded(found, tmp_path).spectra["rvs"].products[0].announced_by
    assert (said.values, said.table) == ((1, 2, 3), "all_source_flags")
    assert "# found; of has_rvs 1 found; 2, 3 as in dr4" in found.draft


def test_files_of_the_name_are_the_table_whatever_its_columns_are_called(tmp_path):
    archive = make_archive(tmp_path / "archive", NAMELESS)
    (group,) = (g for g in find_groups(str(archive)) if g.folder == "rvs_mean_spectrum")
    spec = load_release("dr4").tables
    assert (
        match_table("rvs_mean_spectrum", spec["rvs_mean_spectrum"], look_at_group(group)).share
        >= 0.6
    )
    # Nor is a table taken for one with which it shares an identifier alone.
    other = match_table("all_source_flags", spec["all_source_flags"], look_at_group(group))
    assert other.columns.keys() == {"source_id"}
    assert other.share < 0.4


def test_lean_files_of_the_name_are_not_given_to_another_table(tmp_path):
    folder = tmp_path / "archive/gaia_source"
    folder.mkdir(parents=True)
    names = ("ra", "dec", "parallax", "parallax_error")
    names += tuple(f"phot_{band}_mean_mag" for band in ("g", "bp", "rp"))
    columns = {"source_id": IDS, **{name: np.linspace(1, 9, ROWS) for name in names}}
    columns["has_rvs"] = np.arange(ROWS) % 2
    pl.DataFrame(columns).write_parquet(folder / "GaiaSource_stars.parquet")
    (group,) = find_groups(str(tmp_path / "archive"))
    (match,) = match_tables([look_at_group(group)], load_release("dr4"))
    assert match.table == "gaia_source"


def test_names_of_columns_are_no_lines_of_a_draft(tmp_path):
    odd = {"flux": "a\nname: mine", "flux_error": "b\u2028\x00"}
    archive = make_archive(tmp_path / "archive", odd)
    found = inspect_archive(str(archive), load_release("dr4"), "safe")
    assert loaded(found, tmp_path).name == "safe"
    assert "candidates: a name: mine (array of 961)" in line_of(found.draft, "flux")


@pytest.mark.parametrize("lost", ["coefficients", "coefficient_errors", "coefficient_correlations"])
def test_coefficients_whose_names_are_to_be_filled_in_are_as_many_as_the_others(tmp_path, lost):
    archive = make_archive(tmp_path / "archive")
    columns = {"source_id": IDS}
    for name, length in (
        ("coefficients", 41), ("coefficient_errors", 41), ("coefficient_correlations", 820),
    ):  # fmt: skip
        for band in ("bp", "rp"):
            if (name, band) != (lost, "bp"):
                columns[f"{band}_{name}"] = array(length)
    columns |= {"one": array(9), "two": array(9)}
    (archive / "xp_continuous_mean_spectrum").mkdir()
    file = archive / "xp_continuous_mean_spectrum/XpContinuousMeanSpectrum_stars.parquet"
    pl.DataFrame({k: v.tolist() for k, v in columns.items()}).write_parquet(file)
    found = inspect_archive(str(archive), load_release("dr4"))
    own = loaded(found, tmp_path)
    assert own.spectra["xp"].products[0].bands == {"bp": 41, "rp": 41}
    assert found.lacking == (f"tables.xp_continuous_mean_spectrum.columns.bp_{lost}.names",)


def test_tables_beside_a_catalogue_are_kept_as_far_as_their_columns_are_there(tmp_path):
    archive = make_archive(tmp_path / "archive", {"flux": "norm"})
    table = pa.table(
        {"source_id": IDS, **dict.fromkeys(("teff_gspspec", "logg_gspspec"), np.ones(ROWS))}
    )
    field = table.schema.field("teff_gspspec").with_metadata({"unit": "mas"})
    schema = table.schema.set(table.schema.get_field_index("teff_gspspec"), field)
    (archive / "astrophysical_parameters").mkdir()
    file = archive / "astrophysical_parameters/AstrophysicalParameters_stars.parquet"
    pq.write_table(table.cast(schema), file)
    found = inspect_archive(str(archive), load_release("dr3"))
    assert loaded(found, tmp_path).beside["parameters"].columns.keys() == {"logg_gspspec"}
    assert "beside.parameters lacks teff_gspspec, " in found.text
    file.unlink()
    found = inspect_archive(str(archive), load_release("dr3"))
    assert not loaded(found, tmp_path).beside
    assert "beside.parameters was left out: no files are like" in found.draft


def test_the_gate_names_what_is_like_a_column_that_a_file_must_have(tmp_path):
    archive = make_archive(tmp_path / "archive", {"flux_error": "flux_uncertainty"})
    own = loaded(inspect_archive(str(archive), load_release("dr4")), tmp_path)
    spec = own.tables["rvs_mean_spectrum"]
    column = spec.columns["flux_error"].model_copy(update={"names": ()})
    spec = spec.model_copy(update={"columns": {**spec.columns, "flux_error": column}})
    wrong = own.model_copy(update={"tables": {**own.tables, "rvs_mean_spectrum": spec}})
    (finding,) = examine_archive(list_partitions(str(archive), wrong), wrong).findings
    assert finding.line == "tables.rvs_mean_spectrum"
    assert "write `names: [flux_uncertainty]` at tables.rvs_mean_spectrum" in finding.way_out
