"""Real files: what a description says may change, and the features remain the same bits."""

from pathlib import Path

import numpy as np
import pytest

from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.release import ReleaseSpec, load_release
from catalog_builder.features.ingest import ingest_partition
from catalog_builder.features.settings import IngestSettings
from catalog_builder.features.store import FeatureStore

REAL = Path(__file__).parents[4] / "shared" / "data" / "real-dr3"
RANGE = "162878-212387"
MAGNITUDES = ("phot_g_mean_mag", "phot_bp_mean_mag", "phot_rp_mean_mag", "grvs_mag")

pytestmark = pytest.mark.skipif(
    not REAL.is_dir(), reason="needs the real archive beside the repository"
)


def ingest(archive, release, out):
    (partition,) = list_partitions(str(archive), release, [RANGE])
    result = ingest_partition(partition, release, IngestSettings(), out)
    return result, FeatureStore(out)


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    return ingest(REAL, load_release("dr3"), tmp_path_factory.mktemp("usual") / "features")


def test_real_stars_keep_their_features(usual, tmp_path):
    """The digest is that of the program before spectra were declared (commit 9acc104).

    Columns that are carried since then change no other.
    """
    content = load_release("dr3").model_dump(mode="json", exclude_none=True)
    del content["magnitude_errors"]
    columns = content["tables"]["gaia_source"]["columns"]
    for name in list(columns):
        carried = name.startswith("pm") or name.endswith(("_corr", "_over_error"))
        if carried or name in {"random_index", "radial_velocity_error"}:
            del columns[name]
    before, store = ingest(REAL, ReleaseSpec.model_validate(content), tmp_path / "features")
    assert before.digest == "ebc4455bcbdee4662727619160b2d440"
    known, today = store.read(slice(None)), usual[1].read(slice(None))
    for name, values in known.items():
        np.testing.assert_array_equal(values, today[name])
    # These files have none of them.
    added = today.keys() - known.keys()
    assert added > {"pmra", "phot_g_mean_mag_error", "random_index"}
    assert all(np.isnan(today[name]).all() for name in added)


def test_magnitudes_of_a_joined_table_are_those_of_the_source_table(usual, tmp_path):
    """The real file serves twice: of one reading it gives the magnitudes, of the other the rest."""
    content = load_release("dr3").model_dump(mode="json", exclude_none=True)
    source = content["tables"]["gaia_source"]
    moved = {name: source["columns"].pop(name) for name in MAGNITUDES}
    columns = {"source_id": source["columns"]["source_id"], **moved}
    content["tables"]["magnitudes"] = {**source, "folders": ["magnitudes"], "columns": columns}
    content["joined_tables"] = ["magnitudes"]
    (tmp_path / "gdr3").symlink_to(REAL / "gdr3")
    (tmp_path / "magnitudes").symlink_to(REAL / "gdr3" / "gaia_source")
    result, store = ingest(tmp_path, ReleaseSpec.model_validate(content), tmp_path / "features")
    expected, usual_store = usual
    assert result.rejected == expected.rejected
    assert result.notes["with"] == expected.notes["with"]
    assert result.notes["with"]["photometry"] > 1000
    assert result.digest == expected.digest
    np.testing.assert_array_equal(store.column("grvs_mag"), usual_store.column("grvs_mag"))
