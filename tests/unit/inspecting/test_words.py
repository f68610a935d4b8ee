"""Archives whose identifiers are words are looked at, drafted and passed as others are."""

from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.release import load_release
from catalog_builder.inspecting.gate import examine_archive
from catalog_builder.inspecting.inspect import inspect_archive
from tests.rave import write


def test_an_archive_of_words_is_drafted(tmp_path):
    write(tmp_path / "sky", 40)
    release = load_release("rave-dr6")
    seen = inspect_archive(str(tmp_path / "sky"), release, "found")
    file = tmp_path / "found.yaml"
    file.write_text(seen.draft)
    drafted = load_release(file)
    assert drafted.several_spectra == "one_row_each"
    assert drafted.spelt == {"source_id": 32, "star_id": 32}
    for table in ("parameters", "spectra"):
        assert drafted.tables[table].native_names("source_id") == ("obsid",)
        assert drafted.tables[table].native_names("star_id") == ("raveid",)
    for one in (release, drafted):
        report = examine_archive(list_partitions(str(tmp_path / "sky"), one), one)
        assert report.findings == []
