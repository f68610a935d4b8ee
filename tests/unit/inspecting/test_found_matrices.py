"""Files of matrices in an archive are found, and told from other arrays."""

import numpy as np

from catalog_builder.features.matrices import write_matrices
from catalog_builder.inspecting.draft_spectra import basis_for
from catalog_builder.inspecting.drafting import NO_DIGEST
from catalog_builder.inspecting.found_matrices import FoundMatrices, find_matrices

COUNTS = {"bp": 5, "rp": 6}


def test_matrices_are_found_and_other_arrays_are_not(tmp_path):
    (tmp_path / "xp").mkdir()
    bands = {name: np.ones((count, 4)) for name, count in COUNTS.items()}
    digest = write_matrices(tmp_path / "xp" / "m.npz", np.arange(4.0), bands)
    np.savez(tmp_path / "other.npz", flux=np.ones(3))
    (tmp_path / "broken.npz").write_bytes(b"PK")
    assert find_matrices(str(tmp_path)) == [FoundMatrices("xp/m.npz", digest, COUNTS)]


def test_a_draft_names_those_with_as_many_coefficients():
    other = FoundMatrices("a.npz", "1" * 64, {"bp": 55, "rp": 55})
    fitting = FoundMatrices("b.npz", "2" * 64, COUNTS)
    assert basis_for("xp", COUNTS, [other, fitting])[0]["path"] == "b.npz"
    missing, mark = basis_for("xp", COUNTS, [other])
    assert missing == {"path": "xp_5_6.npz", "sha256": NO_DIGEST}
    assert "not shipped" in mark
