"""An archive, a partition or a description that is wrong: refused, or one partition given up."""

import os
import shutil
import threading
import time

import pytest
import yaml

from catalog_builder.ground.resources import schemas_dir

GAIA = "gaia_source"
RVS = "rvs_mean_spectrum"
XP = "xp_continuous_mean_spectrum"
SAMPLED = "xp_sampled_mean_spectrum"


# --- the archive as a whole -----------------------------------------------------------------------


def test_no_archive_given(bench):
    answer = bench.command("ingest", "--workdir", bench.workdir, "--cluster", bench.cluster)
    assert answer.code == 3
    assert "--archive" in answer.err


def test_an_archive_that_is_not_there(bench, tmp_path):
    missing = tmp_path / "nowhere"
    bench.refuse(4, missing, "gaia_source", "--archive", archive=missing)


def test_an_archive_that_is_a_file(bench, tmp_path):
    file = tmp_path / "file"
    file.write_text("no archive")
    bench.refuse(4, file, "--archive", archive=file)


def test_an_archive_of_unknown_protocol(bench):
    bench.refuse(4, "gopher", archive="gopher://example.org/archive")


def test_an_archive_without_source_tables(bench):
    shutil.rmtree(bench.archive.path(GAIA).parent)
    bench.refuse(4, "GaiaSource_", "--archive")


def test_a_file_where_a_folder_is_expected(bench):
    folder = bench.archive.path(GAIA).parent
    shutil.rmtree(folder)
    folder.write_text("no folder")
    bench.refuse(4, "GaiaSource_")


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_an_unreadable_folder(bench):
    folder = bench.archive.path(GAIA).parent
    folder.chmod(0)
    try:
        bench.refuse(4, folder, "readable")
    finally:
        folder.chmod(0o755)


def test_overlapping_ranges(bench):
    path = bench.archive.path(GAIA)
    start, _, stop = bench.archive.first.partition("-")
    overlapping = f"{start}-{int(stop) + 1:06d}"
    shutil.copy(path, path.with_name(f"GaiaSource_{overlapping}.csv.gz"))
    bench.refuse(4, overlapping, bench.archive.first, "overlap", "remove the files")


def test_a_range_off_the_sky(bench):
    path = bench.archive.path(GAIA)
    path.rename(path.with_name("GaiaSource_000000-999999.csv.gz"))
    bench.refuse(4, "GaiaSource_000000-999999.csv.gz", "786431", "Rename or remove")


@pytest.mark.parametrize(("wanted", "code"), [("ABC", 3), ("5-3", 3), ("999999", 3)])
def test_ranges_that_are_none(bench, wanted, code):
    bench.refuse(code, wanted, arguments=["--ranges", wanted])


def test_a_list_of_checksums_that_is_binary(bench):
    (bench.archive.path(RVS).parent / "_MD5SUM.txt").write_bytes(bytes(range(256)))
    assert bench.ingest().files == {}  # lines that are no checksums are no checksums


# --- too much of it -------------------------------------------------------------------------------


def test_too_many_rejects(bench):
    bench.archive.remove(GAIA)
    answer = bench.refuse(
        4,
        f"{bench.clean_books.rows_in} of",
        "ingest.max_rejected",
        "status",
        arguments=["--set", "ingest.max_rejected=0.1"],
    )
    assert "no_gaia_source_row" not in answer.out
    assert bench.books().rejected == {"no_gaia_source_row": bench.clean_books.rows_in}


def test_an_archive_of_empty_files(bench):
    for table in (RVS, XP, SAMPLED):
        for partition in (bench.archive.first, bench.archive.second):
            bench.archive.write(table, b"", partition=partition)
    bench.refuse(4, "None of the 2 files", "is empty")


def test_an_archive_of_tables_without_rows(bench):
    for table in (RVS, XP, SAMPLED):
        for partition in (bench.archive.first, bench.archive.second):
            text = bench.archive.text(table, partition)
            text.rows = []
            bench.archive.write(table, text, partition=partition)
    bench.refuse(4, "had no source at all")


def test_a_whole_table_that_differs_from_its_checksums(bench):
    """Each source has XP, too, and the catalogue would go on without any RVS spectrum."""
    listing = bench.archive.path(RVS).parent / "_MD5SUM.txt"
    lines = listing.read_text().splitlines()
    listing.write_text("".join(f"{'0' * 32}{line[32:]}\n" for line in lines))
    bench.refuse(4, "None of the 2 files of rvs_mean_spectrum", "md5")


# --- an archive that changes while it is read -----------------------------------------------------


def ingest_and_change(bench, change):
    """Plan, change a file, then do the tasks: what a task finds is not what was planned."""
    from catalog_builder.archive.layout import list_partitions
    from catalog_builder.features import stage as ingesting
    from catalog_builder.features.settings import IngestSettings
    from catalog_builder.ground.errors import InputError
    from catalog_builder.runtime.tasks import run_task
    from catalog_builder.runtime.workdir import Workdir

    workdir, settings = Workdir(bench.workdir), IngestSettings()
    context = ingesting.IngestContext(workdir, bench.archive.release, settings)
    partitions = list_partitions(str(bench.archive.root), bench.archive.release)
    tasks = ingesting.plan(partitions, bench.archive.release, settings)
    change()
    with pytest.raises(InputError) as refusal:
        run_task(ingesting.STAGE, context, workdir, tasks[0])
    assert not workdir.receipt_file("ingest", tasks[0].name).exists()
    assert not list((bench.workdir / "features").glob("*"))  # no half of a store is left
    return refusal.value


def test_a_file_replaced_after_planning(bench):
    content = bench.archive.path(RVS).read_bytes()
    error = ingest_and_change(bench, lambda: bench.archive.write(RVS, content, listed=False))
    assert bench.archive.path(RVS).name in error.problem
    assert "changed while it was read" in error.problem
    assert "same command again" in error.way_out


def test_a_file_that_grew_after_planning(bench):
    content = bench.archive.path(GAIA).read_bytes()
    error = ingest_and_change(bench, lambda: bench.archive.write(GAIA, content * 2))
    assert "bytes when the run was planned, and has" in error.problem


def test_a_file_removed_after_planning(bench):
    error = ingest_and_change(bench, lambda: bench.archive.path(XP).unlink())
    assert bench.archive.path(XP).name in error.problem
    assert "gone" in error.problem


def test_an_archive_that_changes_during_the_run(bench):
    """The partition is given up and named; once the archive rests, the same command takes it."""
    path = bench.archive.path(RVS)
    stop = threading.Event()

    def keep_changing():
        while not stop.is_set():
            os.utime(path)
            time.sleep(0.002)

    changer = threading.Thread(target=keep_changing)
    changer.start()
    try:
        answer = bench.step("ingest")
    finally:
        stop.set()
        changer.join()
    assert answer.code == 0, answer.err
    assert path.name in bench.quarantined()[bench.archive.first]
    assert "changed while it was read" in " ".join(answer.err.split())
    census = bench.receipt(bench.archive.first, "census")
    assert census["rejected"] == {"quarantined_partition": bench.clean_books.rows_in}
    answer, books = bench.ingest_by_command()
    assert "1 ingest" in answer.out
    assert books.receipt["output_digest"] == bench.clean_books.receipt["output_digest"]


# --- descriptions and settings --------------------------------------------------------------------


def description(tmp_path, change):
    content = yaml.safe_load((schemas_dir() / "releases" / "dr3.yaml").read_text())
    change(content)
    file = tmp_path / "release.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


def in_table(table, column, **facts):
    return lambda content: content["tables"][table]["columns"][column].update(facts)


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (in_table(SAMPLED, "flux", unit="Jy"), "tables.xp_sampled_mean_spectrum.columns.flux.unit"),
        (in_table(GAIA, "parallax", unit="milliarcsecs"), "milliarcsecs"),
        (in_table(RVS, "flux", length=2400), "tables.rvs_mean_spectrum.columns.flux.length"),
        (in_table(RVS, "flux", lenght=2401), "unknown key"),
        (lambda content: content.update(colour="red"), "colour: unknown key"),
        (lambda content: content.pop("partition"), "partition: this key is missing"),
        (lambda content: content["partition"].update(range_pattern="("), "range_pattern"),
        (lambda content: content["spectra"]["rvs"]["grid"].update(unit="K"), "not a length"),
        (lambda content: content["spectra"]["xp"]["products"][0].update(basis="dr9"), "dr9"),
    ],
)
def test_a_wrong_release_description(bench, tmp_path, change, seen):
    file = description(tmp_path, change)
    bench.refuse(3, seen, arguments=["--release", file])


def test_a_unit_that_no_file_has(bench, tmp_path):
    """Every file contradicts the description, which is then what must be wrong."""
    file = description(tmp_path, in_table(RVS, "flux", unit="Jy"))
    bench.ingest()  # the headers give RVS flux no unit, which contradicts nothing
    file = description(tmp_path, in_table(GAIA, "ecl_lat", unit="rad"))
    bench.refuse(4, "tables.gaia_source: ", "'deg'", arguments=["--release", file])
    blind = ["--release", file, "--set", "ingest.gate=false"]
    bench.refuse(4, "None of the 2 files of gaia_source", "'deg'", arguments=blind)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("ingest: {block_row: 5}", "ingest.block_row: unknown setting"),
        ("colour: red", "colour: unknown setting"),
        ("ingest: {block_rows: many}", "ingest.block_rows"),
        ("ingest: [", "not YAML"),
        ("- a list", "key: value"),
        ("seed: -1", "seed"),
        ("training: {validation: 0.5, test: 0.5}", "leave some stars to fit"),
    ],
)
def test_a_wrong_config_file(bench, tmp_path, text, seen):
    file = tmp_path / "config.yaml"
    file.write_text(text)
    bench.refuse(3, seen, file, arguments=["--config", file])


@pytest.mark.parametrize(
    "assignment", ["nonsense", "ingest.colour=red", "seed.x=1", "ingest.max_rejected=2", "seed=["]
)
def test_a_wrong_assignment(bench, assignment):
    bench.refuse(3, assignment.partition("=")[0].partition(".")[0], arguments=["--set", assignment])


def test_a_config_file_that_is_not_there(bench, tmp_path):
    bench.refuse(3, tmp_path / "none.yaml", arguments=["--config", tmp_path / "none.yaml"])


def test_an_unknown_release(bench):
    bench.refuse(3, "'dr99'", "dr3", arguments=["--release", "dr99"])
