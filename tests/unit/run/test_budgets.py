"""What a worker needs is known before it starts, and never more than its container allows."""

import functools
import tracemalloc

import numpy as np
import psutil
import pytest
from astropy.io import fits

from catalog_builder.archive.files import FileRef
from catalog_builder.archive.release import load_release
from catalog_builder.contract.grids import GridSpec
from catalog_builder.contract.labels import Labels, known_labels
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.features.settings import IngestSettings
from catalog_builder.features.spectra import convert
from catalog_builder.ground.errors import ResourceError
from catalog_builder.labels.agreed import default_contract, default_schema
from catalog_builder.run import budgets
from catalog_builder.run.config import RunConfig

SETTINGS = IngestSettings()
RELEASE = load_release("dr3")
ROW_BYTES = {"rvs_mean_spectrum": 19_000, "xp_continuous_mean_spectrum": 13_000}
bounds = functools.partial(budgets.stage_budgets, schema=default_schema())


def test_only_scalars_grow_with_the_partition():
    small = bounds(RunConfig(), RELEASE, ROW_BYTES, 1000, labelled=0)
    large = bounds(RunConfig(), RELEASE, ROW_BYTES, 65_000, labelled=0)
    assert large["publish"] == small["publish"]
    assert 0 < large["ingest"] - small["ingest"] < 100 << 20
    # The promise for the default configuration and the largest partition of DR3.
    assert max(large.values()) < 1.5 * 2**30


def test_smaller_blocks_need_less():
    config = RunConfig.model_validate({"ingest": {"block_rows": 64, "store_chunk_rows": 64}})
    default = bounds(RunConfig(), RELEASE, ROW_BYTES, 1000, 0)
    assert bounds(config, RELEASE, ROW_BYTES, 1000, 0)["ingest"] < default["ingest"]


def test_more_and_longer_spectra_need_more():
    spectra = dict(RELEASE.spectra)
    grid = {"start": 846.0, "step": 0.005, "count": 4800}
    fine = spectra["rvs"].model_copy(update={"model_grid": GridSpec.model_validate(grid)})
    finer = RELEASE.model_copy(update={"spectra": {**spectra, "rvs": fine}})
    usual, more = (
        bounds(RunConfig(), each, ROW_BYTES, 1000, labelled=1000) for each in (RELEASE, finer)
    )
    assert all(more[step] > usual[step] for step in usual if step != "publish")
    assert budgets.spectra_bytes(finer.inputs) == 4800 * 9 + 343 * 8


def test_training_that_cannot_fit_is_refused_with_the_limit_that_would_do():
    budgets.refuse_large_training(RunConfig(), 20_000, RELEASE.inputs)
    with pytest.raises(ResourceError, match="Training on 400000 stars") as refusal:
        budgets.refuse_large_training(RunConfig(), 400_000, RELEASE.inputs)
    assert "cluster.memory_limit to 12GiB" in refusal.value.way_out


def test_labels_are_counted_from_the_header(tmp_path):
    table = fits.BinTableHDU(np.zeros(37, dtype=[("TEFF", "f4")]))
    table.writeto(tmp_path / "labels.fits")
    file = FileRef(str(tmp_path / "labels.fits"), size=1)
    assert budgets.label_rows(file) == 37
    (tmp_path / "labels.fits").write_bytes(b"no FITS")
    assert budgets.label_rows(file) is None


@pytest.mark.parametrize(("text", "limit"), [("1073741824", 1 << 30), ("max", None)])
def test_a_container_limits_the_machine(tmp_path, text, limit):
    (tmp_path / "memory.max").write_text(text + "\n")
    assert budgets.machine_memory(tmp_path) == (limit or psutil.virtual_memory().total)


def conversion_peak(table, rows):
    """Return the bytes that exist at once while a block of rows becomes features, itself too."""
    (reading,) = RELEASE.readings[table]
    rng = np.random.default_rng(0)
    columns = {
        name: rng.uniform(0.5, 1.5, (rows, spec.length)).astype(spec.dtype)
        for name, spec in RELEASE.tables[table].columns.items()
        if spec.length is not None
    }
    convert(reading, {name: values[:2] for name, values in columns.items()}, SETTINGS)
    tracemalloc.start()
    try:
        convert(reading, columns, SETTINGS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak + sum(values.nbytes for values in columns.values())


def test_a_block_in_conversion_takes_no_more_than_its_budget():
    rows = 512
    config = RunConfig.model_validate({"ingest": {"block_rows": rows}})
    smaller = RunConfig.model_validate({"ingest": {"block_rows": 1}})
    row_bytes = {table: budgets.row_size(RELEASE.tables[table]) for table in RELEASE.readings}
    budget, least = (
        bounds(each, RELEASE, row_bytes, 1000, labelled=0)["ingest"] for each in (config, smaller)
    )
    peak = max(conversion_peak(table, rows) for table in row_bytes)
    assert rows * max(row_bytes.values()) < peak < budget - least


def test_many_labels_need_more_where_they_are_predicted_and_published():
    many = [known_labels()["mg_fe"].model_copy(update={"name": f"x{i}_fe"}) for i in range(30)]
    wide = CatalogSchema.of(default_contract().model_copy(update={"labels": Labels(many)}))
    usual = bounds(RunConfig(), RELEASE, ROW_BYTES, 1000, labelled=0)
    more = bounds(RunConfig(), RELEASE, ROW_BYTES, 1000, labelled=0, schema=wide)
    assert more["publish"] - budgets.BASE_MEMORY > 5 * (usual["publish"] - budgets.BASE_MEMORY)
    assert more["predict"] > usual["predict"]
    assert more["ingest"] == usual["ingest"]
