"""An archive written by hand in the shape that DR4's draft describes, text and Parquet."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.release import ReleaseSpec, load_release
from catalog_builder.features.ingest import ingest_partition
from catalog_builder.features.low_resolution import refuse_other_matrices
from catalog_builder.features.matrices import place_matrices, write_matrices
from catalog_builder.features.settings import IngestSettings
from catalog_builder.features.store import FeatureStore
from catalog_builder.ground.errors import ConfigError
from catalog_builder.ground.resources import schemas_dir
from catalog_builder.labels.agreed import contract_of_model, default_contract

RANGE = "000000-000009"
GRID = 336.0 + 2.0 * np.arange(343)
#: By star: has_rvs, S/N, bias, astrometric_params, parallax; what it has of spectra is below.
STARS = {
    1: (3, 80.0, -0.02, 2079, 1.5),
    2: (2, 20.0, None, 31, 2.5),
    3: (1, 3.0, None, 95, 0.5),
    4: (0, None, None, 2015, 0.7),
    5: (3, 4.0, -0.03, 3, None),
}
RVS, XP = (1, 2, 3, 5), (1, 3, 4)


def matrices() -> dict[str, np.ndarray]:
    """Return matrices of as many coefficients as are inferred: bumps over both bands."""
    bands = {}
    for band, (count, low, high) in {"bp": (51, 330, 690), "rp": (55, 610, 1030)}.items():
        centres = np.linspace(low, high, count)[:, None]
        bands[band] = 1e-16 * np.exp(-0.5 * ((GRID - centres) / 12.0) ** 2)
    return bands


def tables(samples: int = 961) -> dict[str, dict[str, list]]:
    rng = np.random.default_rng(4)
    n = list(STARS)
    has_rvs, noise, bias, solved, parallax = (
        list(each) for each in zip(*STARS.values(), strict=True)
    )
    source = {
        "source_id": n, "ra": [10.0] * 5, "dec": [20.0] * 5, "parallax": parallax,
        "parallax_error": [0.1 if each else None for each in parallax],
        "tentative_parallax_bias": bias, "astrometric_params": solved,
        "nu_eff_used_in_astrometry": [1.5] * 5, "pseudocolour": [1.5] * 5, "ecl_lat": [5.0] * 5,
        "grvs_mag": [11.0, 12.5, 14.0, None, 13.0], "rvs_spec_sig_to_noise": noise,
        **{f"phot_{band}_mean_mag": [13.0] * 5 for band in ("g", "bp", "rp")},
    }  # fmt: skip
    flags = {"source_id": n, "has_rvs": has_rvs, "has_xp": [each in XP for each in n]}
    rvs = {
        "source_id": list(RVS),
        "flux": [rng.normal(1, 0.01, samples) for _ in RVS],
        "flux_error": [np.full(samples, 0.01)] * len(RVS),
    }
    xp: dict[str, list] = {"source_id": list(XP)}
    for band, count in (("bp", 51), ("rp", 55)):
        xp[f"{band}_coefficients"] = [rng.uniform(1, 2, count) for _ in XP]
        xp[f"{band}_coefficient_errors"] = [np.full(count, 0.01)] * len(XP)
        xp[f"{band}_coefficient_correlations"] = [np.zeros(count * (count - 1) // 2)] * len(XP)
    return {
        "gaia_source": source, "all_source_flags": flags,
        "rvs_mean_spectrum": rvs, "xp_continuous_mean_spectrum": xp,
    }  # fmt: skip


def cell(value: object) -> str:
    if value is None:
        return "null"
    return (
        f"[{','.join(f'{x:.8g}' for x in value)}]" if isinstance(value, np.ndarray) else str(value)
    )


def write(path: Path, columns: dict[str, list]) -> None:
    if path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path)
        return
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(
            [cell(value) for value in row] for row in zip(*columns.values(), strict=True)
        )


def describe(content: dict, root: Path) -> ReleaseSpec:
    """Write the matrices, and a description with their digest."""
    digest = write_matrices(root / "xp_dr4.npz", GRID, matrices())
    content["spectra"]["xp"]["products"][0]["basis"]["sha256"] = digest
    (root / "mine.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return load_release(root / "mine.yaml")


def draft() -> dict:
    return yaml.safe_load((schemas_dir() / "releases/dr4.yaml").read_text())


def fill(root: Path, release: ReleaseSpec, columns: dict[str, dict[str, list]], kind: str) -> None:
    for table, values in columns.items():
        spec = release.tables[table]
        folder = root / spec.folders[0]
        folder.mkdir(parents=True)
        write(folder / f"{spec.stem}{RANGE}.{kind}", values)


@pytest.fixture(params=["csv", "parquet"])
def archive(request, tmp_path):
    """Write the archive; return it with a description that differs in the digest alone."""
    release = describe(draft(), tmp_path)
    fill(tmp_path, release, tables(), request.param)
    return tmp_path, release


def ingest(archive):
    root, release = archive
    release = place_matrices(release, str(root), root / "work")
    refuse_other_matrices(release)
    (partition,) = list_partitions(str(root), release)
    result = ingest_partition(partition, release, IngestSettings(), root / "features")
    return result, FeatureStore(root / "features")


def test_it_is_ingested(archive):
    result, store = ingest(archive)
    assert (result.rows_in, result.rows_out) == (5, 4)
    # The fifth star has a faint spectrum and no other.
    assert result.rejected == {"below_least_sig_to_noise": 1}
    assert result.notes["row_rejects"] == {"rvs_mean_spectrum": {"below_least_sig_to_noise": 2}}
    assert result.notes["with"] == {"rvs": 2, "xp": 3, "photometry": 4, "parallax": 4}
    assert result.notes["absent"] == {}
    assert result.notes["file_rejects"] == {}
    block = store.read(slice(None))
    assert block["source_id"].tolist() == [1, 2, 3, 4]
    # The archive's own flag of a byte is replaced by who has a usable spectrum.
    assert block["has_rvs"].tolist() == [True, True, False, False]
    assert block["rvs_normalisation"].tolist() == [1, 2, 0, 0]
    assert block["rvs_flux"].shape == (4, 800)
    assert abs(block["rvs_flux"][0].mean() - 1) < 0.01


def test_samples_are_those_of_the_matrices(archive):
    _, store = ingest(archive)
    block, bands = store.read(slice(0, 1)), matrices()
    xp = tables()["xp_continuous_mean_spectrum"]
    flux = sum(xp[f"{band}_coefficients"][0] @ bands[band] for band in bands)
    errors = np.sqrt(sum(((0.01 * bands[band]) ** 2).sum(axis=0) for band in bands))
    scale = flux[(GRID >= 500) & (GRID <= 900)].mean()
    np.testing.assert_allclose(block["xp_flux"][0], flux / scale, rtol=1e-5)
    np.testing.assert_allclose(block["xp_flux_error"][0], errors / scale, rtol=1e-4)


def test_parallaxes_are_corrected_by_column_and_fallback(archive):
    result, store = ingest(archive)
    corrected, fallen = store.column("parallax_corrected"), store.column("parallax_fallback")
    assert corrected[0] == 1.52
    assert ((corrected - store.column("parallax"))[1:] > 0.01).all()
    assert fallen.tolist() == [False, True, True, True]
    assert result.notes["parallax_fallback"] == 3


def test_as_it_is_shipped_it_asks_for_its_matrices(tmp_path):
    release = load_release("dr4")
    with pytest.raises(ConfigError, match=r"xp_dr4\.npz .* cannot be read"):
        place_matrices(release, str(tmp_path), None)
    digest = write_matrices(tmp_path / "xp_dr4.npz", GRID, matrices())
    with pytest.raises(ConfigError, match=f"have the sha256 {digest}"):
        place_matrices(release, str(tmp_path), None)


def test_a_dr3_model_says_of_dr4_what_was_corrected_by_the_fallback():
    model = default_contract()
    dr3, dr4 = (contract_of_model(model, load_release(name)) for name in ("dr3", "dr4"))
    assert dr3 == model
    assert dr4.inputs.parallax_fallback
    assert dr4.labels == model.labels
    assert dr4.inputs.spectra == model.inputs.spectra


def test_a_release_after_it_with_another_grid_is_one_file(tmp_path):
    content = draft()
    content |= {"name": "dr5", "title": "Gaia Data Release 5"}
    rvs = content["spectra"]["rvs"]
    rvs["grid"] = {"start": 8459.0, "step": 0.2, "count": 1226, "unit": "Angstrom"}
    rvs["normalisation"] = {"fixed": "pseudo_continuum"}
    for column in ("flux", "flux_error"):
        content["tables"]["rvs_mean_spectrum"]["columns"][column]["length"] = 1226
    release = describe(content, tmp_path)
    fill(tmp_path, release, tables(samples=1226), "parquet")
    result, store = ingest((tmp_path, release))
    assert (result.rows_in, result.rows_out) == (5, 4)
    assert store.column("rvs_normalisation").tolist() == [1, 1, 0, 0]
    flux = store.read(slice(0, 1))["rvs_flux"][0]
    assert flux.shape == (800,)
    assert (flux != 0).all()
