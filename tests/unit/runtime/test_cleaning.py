"""What an interrupted run leaves, and what it takes away."""

from catalog_builder.runtime.cleaning import tidy_after_interruption
from catalog_builder.runtime.workdir import Workdir


def test_lists_of_a_seal_that_was_cut_short_go_and_its_chunks_stay(tmp_path):
    building = tmp_path / "catalogs" / "dr3" / ".building-1.0-a"
    chunk, sums = building / "catalog.zarr" / "0", building / ".SHA256SUMS.partial"
    chunk.parent.mkdir(parents=True)
    for file in (chunk, sums):
        file.write_text("x")
    tidy_after_interruption(Workdir(tmp_path))
    assert chunk.exists()
    assert not sums.exists()
