"""Sources that only a damaged file could have asked for: counted, or said to be unknown."""

import shutil

import pytest

from catalog_builder.archive.layout import list_partitions
from catalog_builder.features import census as counting
from catalog_builder.features import stage as ingesting
from catalog_builder.features.settings import IngestSettings
from catalog_builder.run.config import RunConfig
from catalog_builder.runtime.driver import Driver
from catalog_builder.runtime.events import Events
from catalog_builder.runtime.tasks import run_task
from catalog_builder.runtime.workdir import Workdir

GAIA = "gaia_source"
RVS = "rvs_mean_spectrum"
XP = "xp_continuous_mean_spectrum"
SAMPLED = "xp_sampled_mean_spectrum"

GARBAGE = bytes(range(256)) * 4


def spoil(bench, *tables):
    for table in tables:
        bench.archive.write(table, GARBAGE, listed=False)


def unlist(bench, *tables):
    for table in tables:
        (bench.archive.path(table).parent / "_MD5SUM.txt").unlink()


def test_who_had_only_the_unreadable_spectrum_is_requested_and_rejected(bench):
    only = bench.archive.ids(RVS) - bench.archive.ids(XP, SAMPLED)
    bench.archive.remove(SAMPLED)
    text = bench.archive.text(XP)  # one more who has nothing but RVS
    both = next(
        i for i, name in enumerate(text.column("source_id")) if int(name) in bench.archive.ids(RVS)
    )
    only.add(text.source_id(both))
    del text.rows[both]
    bench.archive.write(XP, text)
    requested = bench.archive.ids(RVS, XP)
    unlist(bench, RVS)
    spoil(bench, RVS)
    books = bench.ingest()
    assert books.rows_in == len(requested)
    assert books.rejected == {"unreadable_file": len(only)}
    counted = {RVS: "announced", XP: "rows"}
    assert books.receipt["notes"]["counts"] == counted


@pytest.mark.parametrize("listed", [True, False])
def test_a_partition_of_garbage_is_counted_from_the_source_table(bench, listed):
    if not listed:
        unlist(bench, RVS, XP, SAMPLED)
    spoil(bench, RVS, XP, SAMPLED)
    books = bench.ingest()
    assert books.rows_out == 0
    assert books.rows_in == bench.clean_books.rows_in
    reason = "checksum_mismatch" if listed else "unreadable_file"
    assert books.rejected == {reason: bench.clean_books.rows_in}


def test_the_limit_applies_to_who_could_not_be_read(bench):
    spoil(bench, RVS, XP, SAMPLED)
    known = bench.clean_books.rows_in
    limit = ["--set", "ingest.max_rejected=0.3"]
    bench.refuse(4, f"{known} of", "requested sources were rejected", arguments=limit)


def test_a_number_that_is_known_only_in_part_is_a_lower_bound(bench):
    spoil(bench, RVS, GAIA)
    known = bench.archive.ids(XP, SAMPLED)
    answer, books = bench.ingest_by_command()
    assert books.rows_in == len(known)
    said = " ".join(answer.err.split())
    assert f"of partition {bench.archive.first} at least {len(known)} sources" in said
    assert RVS in said


def test_a_source_table_that_announces_nothing_covers_nothing(bench):
    """Without the columns that announce spectra there is nobody to ask."""
    text = bench.archive.text(GAIA)
    for column in ("has_rvs", "has_xp_continuous", "has_xp_sampled"):
        place = text.names.index(column)
        for row in (text.names, *text.rows):
            del row[place]
    text.header = []
    bench.archive.write(GAIA, text)
    spoil(bench, RVS)
    books = bench.ingest()
    assert books.receipt["notes"]["counts"][RVS] == "unknown"
    assert books.rows_in == len(bench.archive.ids(XP, SAMPLED))


def test_an_unknown_number_is_refused_unless_it_is_accepted(bench):
    spoil(bench, GAIA, RVS, XP, SAMPLED)
    words = f"An unknown number of sources of partition {bench.archive.first} is lost"
    bench.refuse(4, words, "--accept-lost")
    answer, books = bench.ingest_by_command("--accept-lost")
    assert books.rows_in == 0
    assert "unknown number of sources" in answer.err
    bench.refuse(4, words, "--accept-lost")  # what was accepted once is not accepted for ever


def test_a_file_that_went_is_counted_from_the_source_table(bench):
    """A file that is gone since the run was planned ends the ingest; its sources still count."""
    workdir, settings = Workdir(bench.workdir), IngestSettings()
    context = ingesting.IngestContext(workdir, bench.archive.release, settings)
    partitions = list_partitions(str(bench.archive.root), bench.archive.release)
    tasks = ingesting.plan(partitions, bench.archive.release, settings)[:1]
    for table in (RVS, XP, SAMPLED):
        bench.archive.path(table).unlink()
    plan = counting.plan_counts(tasks, context)
    counts = [run_task(counting.COUNT, context, workdir, task) for task in plan]
    problems = {count.task: count.notes.get("problem", "") for count in counts}
    assert "cannot be" in problems[f"{bench.archive.first}-{RVS}"]
    assert str(bench.archive.root) not in problems[f"{bench.archive.first}-{RVS}"].split(":")[0]

    (plan,) = counting.plan_census(tasks, counts)
    census = run_task(counting.CENSUS, context, workdir, plan)
    assert census.rejected == {"quarantined_partition": bench.clean_books.rows_in}
    assert set(census.notes["counts"].values()) == {"announced"}

    without = [count for count in counts if GAIA not in count.task]
    (plan,) = counting.plan_census(tasks, without)
    census = run_task(counting.CENSUS, context, workdir, plan)
    assert census.rows_in == 0
    assert set(census.notes["counts"].values()) == {"unknown"}


def test_counts_of_files_that_can_be_read_again_are_made_anew(bench):
    workdir, settings = Workdir(bench.workdir), IngestSettings()
    context = ingesting.IngestContext(workdir, bench.archive.release, settings)
    partitions = list_partitions(str(bench.archive.root), bench.archive.release)
    tasks = ingesting.plan(partitions, bench.archive.release, settings)[:1]
    aside = shutil.move(bench.archive.path(RVS), bench.workdir.with_name("aside"))
    plan = counting.plan_counts(tasks, context)
    for task in plan:
        run_task(counting.COUNT, context, workdir, task)
    shutil.move(aside, bench.archive.path(RVS))
    with Driver(RunConfig(), workdir, Events(None, -1), retry_quarantined=True) as driver:
        driver._try_again(counting.COUNT, plan)
    again = [run_task(counting.COUNT, context, workdir, task) for task in plan]
    assert not any("problem" in count.notes for count in again)
    (plan,) = counting.plan_census(tasks, again)
    census = run_task(counting.CENSUS, context, workdir, plan)
    assert (census.rows_in, set(census.notes["counts"].values())) == (
        bench.clean_books.rows_in,
        {"rows"},
    )
