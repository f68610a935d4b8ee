"""Drafts of releases in which a star has several spectra."""

import pytest
from astropy.table import Table

from catalog_builder.archive.release import load_release, load_written
from catalog_builder.inspecting.inspect import inspect_archive
from catalog_builder.simulate.sky import simulate


def loaded(found, tmp_path):
    file = tmp_path / "drafted.yaml"
    file.write_text(found.draft)
    return load_written(file), load_release(file)


@pytest.mark.parametrize("release", ["ges-giraffe-hr21", "4most-lrs"])
def test_spectra_that_become_one_give_a_draft_that_loads(release, tmp_path):
    archive, older = tmp_path / "archive", load_written(release)
    simulate(release, 90, 5, archive)
    found = inspect_archive(str(archive), older)
    assert (found.problem, found.lacking) == (None, ())
    assert "RULES OF" not in found.draft  # it is what the description is of
    written, read = loaded(found, tmp_path)
    assert written.several_spectra == "combined"
    for table in (older.source_table, *older.driving_tables):
        star = older.tables[table].native_names("star_id")
        assert written.tables[table].native_names("star_id") == star
        assert read.tables[table].native_names("source_id") == star
    for name, spectrum in older.spectra.items():  # also where samples are no steps of nanometres
        assert written.spectra[name].grid.count == spectrum.grid.count
    assert "AGAINST THE DRAFT: Looked at " in found.text


def test_whose_a_row_is_is_a_line_to_fill_in(tmp_path):
    archive = tmp_path / "archive"
    simulate("rave-dr6", 90, 5, archive)
    for path in (archive / "rave_dr6/spectra").rglob("*.fits"):
        table = Table.read(path)
        table.remove_column("raveid")
        table.write(path, overwrite=True)
    found = inspect_archive(str(archive), load_written("rave-dr6"))
    assert found.problem is None
    assert found.lacking == ("tables.spectra.columns.star_id.names",)
    assert "NOT FOUND: write its name" in found.draft
