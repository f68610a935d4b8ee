"""Which sources of the archive are in the catalogue, by magnitude and colour."""

import numpy as np
import pytest

from catalog_builder.features.cells import CellGrid
from catalog_builder.report import chosen_figures
from catalog_builder.report.chosen import Chosen
from catalog_builder.report.summary import Summary

GRID = CellGrid(
    order=3,
    id_shift=53,
    magnitude="phot_g_mean_mag",
    colour=("phot_bp_mean_mag", "phot_rp_mean_mag"),
)


@pytest.fixture
def chosen():
    """Half of 100 sources a cell published at G = 12 to 13, a tenth of them at 13 to 14."""
    counts = np.zeros((GRID.magnitudes.size, GRID.colours.size, 6), dtype=np.int64)
    for low, share in ((12.0, 50), (12.5, 50), (13.0, 10), (13.5, 10)):
        at = GRID.magnitudes.places(np.array([low]))[0]
        counts[at : at + 2, 6:9] = (100, 80, share, share // 2, share // 2, 0)
    counts[-1, -1] = 1000  # whose magnitude is not known
    return Chosen(GRID, ("gold", "silver", "use_with_care"), counts, subset=False)


def test_shares_are_of_all_sources_of_the_archive(schema, chosen):
    page = chosen_figures.section(chosen, Summary(schema))
    assert page.count("<figure") == 1
    rows = [line for line in page.splitlines() if line.startswith("<tr><th")]
    assert [("50.0" in row, "10.0" in row) for row in rows[-4:]] == [
        (True, False), (True, False), (False, True), (False, True),
    ]  # fmt: skip
    assert all("80.0" in row for row in rows[-4:])
    assert "nothing of stars without spectra" not in page


def test_an_archive_of_spectra_alone_is_called_so_and_one_without_counts_has_no_figure(
    schema, chosen
):
    alone = Chosen(GRID, chosen.tiers, chosen.counts, subset=True)
    assert "nothing of stars without spectra" in chosen_figures.section(alone, Summary(schema))
    none = Chosen(GRID, chosen.tiers, np.zeros_like(chosen.counts), subset=False)
    assert chosen_figures.section(none, Summary(schema)) == ""
