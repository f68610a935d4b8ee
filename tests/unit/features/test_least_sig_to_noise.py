"""Spectra below the least S/N of a description: absent for the networks, and counted."""

import numpy as np
import pytest

from catalog_builder.archive.release import load_release
from catalog_builder.features.limits import refuse_bad_input
from catalog_builder.features.settings import IngestSettings
from catalog_builder.features.stage import plan
from catalog_builder.ground.errors import ConfigError, InputError
from catalog_builder.runtime.receipts import Receipt
from tests.unit.features.conftest import lists

REASON = "below_least_sig_to_noise"
SOURCE = {"ra": 10.0, "dec": 20.0, "parallax": 1.5, "parallax_error": 0.1, "grvs_mag": 11.0}


def with_noise(archive, noise):
    """Let stars have RVS spectra, and the S/N of the source table."""
    flux, error = lists(2401)
    archive.write(
        "rvs_mean_spectrum",
        [{"source_id": n, "flux": flux, "flux_error": error} for n in noise],
    )
    archive.write(
        "gaia_source",
        [{"source_id": n, **SOURCE, "rvs_spec_sig_to_noise": ratio} for n, ratio in noise.items()],
    )
    for table in ("xp_sampled_mean_spectrum", "rave_spectra"):
        archive.path(table).unlink()


def balanced(result):
    return result.rows_in == result.rows_out + sum(result.rejected.values())


def test_a_limit_on_the_column_of_the_source_table(archive):
    archive.description["spectra"]["rvs"]["least_sig_to_noise"] = 15
    with_noise(archive, {1: 15.0, 2: 14.9, 3: "null", 4: 3.0, 7: 80.0})
    result, store = archive.ingest()
    assert balanced(result)
    np.testing.assert_array_equal(store.column("source_id"), [1, 3, 7])
    assert store.column("has_rvs").all()
    assert result.rejected == {REASON: 2}
    assert result.notes["row_rejects"] == {"rvs_mean_spectrum": {REASON: 2}}
    # In the files of the archive the star can be found again.
    assert store.column("rejected_source_id").tolist()[:2] == [2, 4]
    assert store.column("rejected_row").tolist()[:2] == [1, 3]
    # Nothing was stored of those.
    assert store._array("rvs_flux").shape[0] == 3


def test_without_a_limit_all_are_used(archive):
    with_noise(archive, {1: 15.0, 2: 14.9, 3: "null", 4: 3.0, 7: 80.0})
    result, _ = archive.ingest()
    assert (result.rows_out, result.rejected) == (5, {})


def test_another_spectrum_of_a_faint_star_is_used(archive):
    archive.description["spectra"]["rvs"]["least_sig_to_noise"] = 61
    result, store = archive.ingest()
    assert result.rejected == {"all_nan_spectrum": 1}
    assert result.notes["row_rejects"]["rvs_mean_spectrum"] == {REASON: 1}
    assert result.notes["with"]["rvs"] == 0
    assert result.notes["with"]["rave"] == 3
    block = store.read(slice(0, 1))
    assert block["source_id"] == [1]
    assert not block["rvs_mask"].any()
    assert block["rvs_spec_sig_to_noise"] == [60]
    assert block["rvs_normalisation"] == [0]


def test_a_limit_on_what_is_measured_on_the_samples(archive):
    archive.description["spectra"]["rave"]["least_sig_to_noise"] = 40
    result, store = archive.ingest()
    assert balanced(result)
    assert result.notes["row_rejects"]["rave_spectra"] == {REASON: 3, "all_nan_spectrum": 1}
    np.testing.assert_array_equal(store.column("source_id"), [1, 3])
    assert result.rejected == {REASON: 2, "all_nan_spectrum": 1}
    assert np.isnan(store.column("rave_sig_to_noise")).all()


def test_a_later_row_of_a_source_says_nothing(archive):
    archive.description["spectra"]["rvs"]["least_sig_to_noise"] = 15
    with_noise(archive, {1: 80.0, 2: 3.0})
    with archive.path("gaia_source").open("a") as file:
        for line in archive.path("gaia_source").read_text().splitlines()[1:]:
            file.write(line.replace("80.0", "3.0").replace(",3.0\n", ",80.0\n") + "\n")
    result, store = archive.ingest()
    assert balanced(result)
    assert store.column("source_id").tolist() == [1]
    assert result.notes["row_rejects"]["gaia_source"] == {"duplicate_source_id": 1}


def test_a_source_table_that_cannot_be_read_is_told_once(archive):
    archive.description["spectra"]["rvs"]["least_sig_to_noise"] = 15
    archive.path("gaia_source").write_bytes(b"\x89PNG\r\n\x1a\n no table")
    result, _ = archive.ingest()
    assert balanced(result)
    assert result.rows_out == 0
    assert len(result.notes["file_rejects"]) == 1
    assert result.notes["row_rejects"].get("rvs_mean_spectrum") is None


def receipt(**rejected):
    lost = sum(rejected.values())
    return Receipt(
        stage="ingest", task="a", stage_version=1, key="", rows_in=10 + lost, rows_out=10,
        rejected=rejected, output="a", pattern="", output_digest="", inventory="", seconds=0,
    )  # fmt: skip


def test_what_is_left_out_on_purpose_is_no_bad_input():
    settings = IngestSettings(max_rejected=0.1)
    refuse_bad_input([receipt(**{REASON: 1000})], [], {}, settings)
    with pytest.raises(InputError, match="max_rejected"):
        refuse_bad_input([receipt(malformed_row=1000)], [], {}, settings)


def test_a_limit_is_other_work_and_none_is_not(archive):
    def key():
        (task,) = plan([archive.partition], archive.release, IngestSettings())
        return task.key

    first = key()
    archive.description["spectra"]["rvs"]["least_sig_to_noise"] = None
    assert key() == first
    archive.description["spectra"]["rvs"]["least_sig_to_noise"] = 15
    assert key() != first


@pytest.mark.parametrize(
    ("name", "least", "message"),
    [
        ("rvs", 0, "greater than 0"),
        ("rvs", float("inf"), "finite"),
        ("xp", 10, "least_sig_to_noise needs sig_to_noise"),
    ],
)
def test_limits_that_limit_nothing_are_refused(archive, name, least, message):
    archive.description["spectra"][name]["least_sig_to_noise"] = least
    with pytest.raises(ConfigError, match=message):
        _ = archive.release
    assert load_release("dr3").spectra["rvs"].least_sig_to_noise is None
