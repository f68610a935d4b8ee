"""A run goes on with some bad input, and stops when it is the description that must be wrong."""

import pytest

from catalog_builder.features.limits import refuse_bad_input
from catalog_builder.features.settings import IngestSettings
from catalog_builder.ground.errors import InputError
from catalog_builder.runtime.receipts import Receipt


def receipt(rows_in=10, rejected=0, bad_files=()):
    return Receipt(
        stage="ingest",
        task="a",
        stage_version=1,
        key="k",
        rows_in=rows_in,
        rows_out=rows_in - rejected,
        rejected={"bad_number": rejected},
        inputs={"rvs_mean_spectrum": {"file": "r"}, "gaia_source": {"file": "g"}},
        output="o",
        pattern="*",
        output_digest="d",
        inventory="i",
        notes={
            "file_rejects": {
                name: {"table": name, "reason": "truncated_file", "detail": "it is cut off"}
                for name in bad_files
            }
        },
        seconds=0,
    )


def check(*features, census=(), given_up=None, limit=0.1, accept_lost=False):
    settings = IngestSettings(max_rejected=limit, accept_lost=accept_lost)
    refuse_bad_input(features, census, given_up or {}, settings)


def test_a_few_rejects_are_borne():
    check(receipt(), receipt(rejected=2))


def test_too_many_rejects_are_not():
    with pytest.raises(InputError, match=r"3 of 20 .* ingest\.max_rejected"):
        check(receipt(), receipt(rejected=3))


def test_sources_of_a_partition_given_up_count():
    with pytest.raises(InputError, match="For example b: its file changed"):
        check(receipt(), census=[receipt(rejected=10)], given_up={"b": "its file changed"})


def test_a_partition_that_nobody_could_count_is_not_borne():
    given_up = {"b": "it killed its worker"}
    with pytest.raises(InputError, match=r"(?s)An unknown number .* partition b .*--accept-lost"):
        check(receipt(), given_up=given_up)
    check(receipt(), given_up=given_up, accept_lost=True)


def test_no_source_at_all():
    with pytest.raises(InputError, match="had no source at all"):
        check(receipt(rows_in=0), limit=1)


def test_one_bad_file_of_a_table_is_borne():
    check(receipt(bad_files=["rvs_mean_spectrum"]), receipt())


def test_a_table_without_one_whole_file_is_not():
    with pytest.raises(InputError, match="None of the 2 files of rvs_mean_spectrum"):
        check(*[receipt(bad_files=["rvs_mean_spectrum"])] * 2)


def test_the_only_file_of_a_table_may_be_bad():
    check(receipt(bad_files=["rvs_mean_spectrum"]))
