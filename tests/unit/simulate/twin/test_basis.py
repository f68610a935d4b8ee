"""Coefficients of a later release: matrices of their own that give the same spectra."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from catalog_builder.simulate.instruments import photometers as instrument
from catalog_builder.simulate.twin import basis

COUNTS = {"bp": 51, "rp": 55}


@pytest.mark.parametrize("band", ["bp", "rp"])
def test_what_the_turn_leaves_out_is_nothing(band):
    found = basis.bases()[band]
    assert found.turn.shape == (55, COUNTS[band])
    assert found.matrix.shape == (COUNTS[band], 343)
    np.testing.assert_allclose(found.turn.T @ found.turn, np.eye(COUNTS[band]), atol=1e-12)
    older = np.load(basis._of_dr3())[band]
    # Coefficients of a bright star, about 1e3 to 1e6 of the first with the others below it.
    table = getattr(instrument.load(), band)
    flux = np.full((1, 343), 1e-14)
    coefficients = flux @ table.inverse
    errors = table.errors(coefficients)
    lost = coefficients @ (np.eye(55) - found.turn @ found.turn.T) @ older
    noise = np.sqrt((errors**2) @ older**2)
    reached = noise > 0
    assert np.abs(lost[reached] / noise[reached]).max() < 0.2


def test_the_file_is_what_its_digest_says(tmp_path):
    digest = basis.write_matrices(tmp_path)
    content = (tmp_path / basis.FILE).read_bytes()
    assert hashlib.sha256(content).hexdigest() == digest
    with np.load(tmp_path / basis.FILE, allow_pickle=False) as file:
        assert set(file) == {"wavelength", "bp", "rp"}
        assert len(file["wavelength"]) == 343
        for band, count in COUNTS.items():
            assert file[band].shape == (count, 343)
