"""Files of matrices: found, compared with their digest, read within bounds, part of keys."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml

from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.matrices import BasisFile
from catalog_builder.archive.release import load_release
from catalog_builder.features import matrices as files
from catalog_builder.features.low_resolution import refuse_other_basis
from catalog_builder.features.matrices import (
    hold,
    inputs_of,
    matrices_of,
    place_matrices,
    write_matrices,
)
from catalog_builder.features.settings import IngestSettings
from catalog_builder.features.stage import plan
from catalog_builder.ground.errors import ConfigError
from catalog_builder.ground.resources import schemas_dir
from catalog_builder.model.origin import description_digest, facts_of

BANDS = {"bp": 51, "rp": 55}


def arrays(seed=0):
    rng = np.random.default_rng(seed)
    grid = 336.0 + 2.0 * np.arange(343)
    return grid, {band: rng.normal(size=(count, grid.size)) for band, count in BANDS.items()}


def describe(folder: Path, basis, bands=BANDS):
    """Write a description whose coefficients are of a file of matrices; return its path."""
    content = yaml.safe_load((schemas_dir() / "releases/dr3.yaml").read_text())
    content["spectra"]["xp"]["products"][0] |= {"basis": basis, "bands": dict(bands)}
    columns = content["tables"]["xp_continuous_mean_spectrum"]["columns"]
    for band, count in bands.items():
        columns[f"{band}_coefficients"]["length"] = count
        columns[f"{band}_coefficient_errors"]["length"] = count
        columns[f"{band}_coefficient_correlations"]["length"] = count * (count - 1) // 2
    path = folder / "other.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """What one test read, no other has."""
    monkeypatch.setattr(files, "_HELD", {})


def described(folder, name="m.npz", seed=0, place=None):
    digest = write_matrices((place or folder) / name, *arrays(seed))
    return load_release(describe(folder, {"path": name, "sha256": digest})), digest


def basis_of(release):
    return release.spectra["xp"].products[0].basis


def test_a_file_gives_back_what_was_written(tmp_path):
    release, _ = described(tmp_path)
    grid, bands = arrays()
    found = matrices_of(basis_of(release))
    np.testing.assert_array_equal(found["wavelength"], grid)
    np.testing.assert_array_equal(found["bp"], bands["bp"])
    np.testing.assert_array_equal(found["rp"], bands["rp"])
    refuse_other_basis("xp", release.spectra["xp"])


def test_the_same_numbers_are_the_same_file(tmp_path):
    one, other = (write_matrices(tmp_path / name, *arrays()) for name in ("a.npz", "b.npz"))
    assert one == other
    assert write_matrices(tmp_path / "c.npz", *arrays(1)) != one
    with np.load(tmp_path / "a.npz", allow_pickle=False) as plain:
        assert sorted(plain) == ["bp", "rp", "wavelength"]


def test_a_file_may_lie_in_the_archive_and_is_kept_for_the_workers(tmp_path):
    archive, work, yamls = (tmp_path / name for name in ("archive", "work", "yamls"))
    archive.mkdir()
    yamls.mkdir()
    release, digest = described(yamls, place=archive)
    with pytest.raises(ConfigError, match="cannot be read"):
        matrices_of(basis_of(release))
    found = place_matrices(release, str(archive), work)
    assert basis_of(found).place == work / f"{digest}.npz"
    assert [file.name for file in work.iterdir()] == [f"{digest}.npz"]
    (archive / "m.npz").unlink()
    again = place_matrices(release, str(archive), work)
    assert basis_of(again).place.read_bytes()
    assert inputs_of(found) == {
        "basis of xp_continuous_mean_spectrum": {
            "file": "m.npz", "size": 0, "mtime": 0.0, "checksum": f"sha256:{digest}",
        }
    }  # fmt: skip


def test_a_damaged_copy_is_made_anew(tmp_path):
    release, digest = described(tmp_path)
    kept = tmp_path / "work" / f"{digest}.npz"
    place_matrices(release, str(tmp_path), kept.parent)
    kept.write_bytes(kept.read_bytes()[:-1])
    place_matrices(release, str(tmp_path), kept.parent)
    assert kept.read_bytes() == (tmp_path / "m.npz").read_bytes()


def test_a_look_keeps_nothing(tmp_path):
    release, _ = described(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    found = place_matrices(release, str(tmp_path), None)
    refuse_other_basis("xp", found.spectra["xp"])
    assert sorted(tmp_path.rglob("*")) == before


def test_an_address_is_asked_once(tmp_path, monkeypatch):
    digest = write_matrices(tmp_path / "far.npz", *arrays())
    address = {"path": "https://example.org/far.npz", "sha256": digest}
    release = load_release(describe(tmp_path, address))
    asked = []

    def read(_, url, limit):
        asked.append((url, limit))
        return (tmp_path / "far.npz").read_bytes()

    monkeypatch.setattr(files.Client, "read", read)
    for _ in range(2):
        place_matrices(release, str(tmp_path), tmp_path / "work")
    assert asked == [("https://example.org/far.npz", files.MAX_BYTES)]
    plain = load_release(describe(tmp_path, {**address, "path": "http://example.org/m.npz"}))
    with pytest.raises(ConfigError, match="not at an https address"):
        place_matrices(plain, str(tmp_path), None)


def test_other_matrices_are_other_features_and_another_place_is_not(tmp_path):
    def facts(release):
        (task,) = plan(list_partitions(str(tmp_path), release), release, IngestSettings())
        return task.key, description_digest(release), facts_of(release)

    folder = tmp_path / "gaia_source"
    folder.mkdir()
    (folder / "GaiaSource_000000-000009.csv").write_text("source_id\n")
    for driving in ("rvs_mean_spectrum", "xp_continuous_mean_spectrum", "xp_sampled_mean_spectrum"):
        (tmp_path / driving).mkdir()
        stem = "".join(word.title() for word in driving.split("_"))
        (tmp_path / driving / f"{stem}_000000-000009.csv").write_text("source_id\n")
    first, digest = described(tmp_path)
    moved, same = described(tmp_path, name="n.npz")
    other, new = described(tmp_path, name="o.npz", seed=1)
    assert digest == same != new
    assert facts(first) == facts(moved)
    for one, two in zip(facts(first), facts(other), strict=True):
        assert one != two
    assert facts(other)[2]["spectra.xp.xp_continuous_mean_spectrum.basis"] == new


def test_another_file_than_described_is_refused_with_its_digest(tmp_path):
    release, digest = described(tmp_path)
    new = write_matrices(tmp_path / "m.npz", *arrays(2))
    with pytest.raises(ConfigError, match=f"m.npz have the sha256 {new}, but .* says {digest}"):
        place_matrices(release, str(tmp_path), None)


def test_other_numbers_of_coefficients_are_refused(tmp_path):
    digest = write_matrices(tmp_path / "m.npz", *arrays())
    wrong = {"bp": 55, "rp": 55}
    release = load_release(describe(tmp_path, {"path": "m.npz", "sha256": digest}, wrong))
    with pytest.raises(ConfigError, match=r"products\.0\.bands is .*matrices m\.npz are of"):
        refuse_other_basis("xp", release.spectra["xp"])


@pytest.mark.parametrize(
    "basis",
    [
        {"path": "m.npz"},
        {"path": "m.npz", "sha256": "abc"},
        {"path": "", "sha256": "0" * 64},
        {"path": "m.npz", "sha256": "0" * 64, "unpickle": True},
    ],
)
def test_a_basis_is_a_path_and_its_digest(tmp_path, basis):
    with pytest.raises(ConfigError, match=r"spectra\.xp\.products\.0\.basis"):
        load_release(describe(tmp_path, basis))


def packed(**members):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(f"{name}.npy", data)
    return content.getvalue()


def npy(values):
    content = io.BytesIO()
    np.save(content, values)
    return content.getvalue()


GRID = npy(np.arange(20.0))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no zip", "not a zip"),
        (packed(wavelength=GRID), "no band"),
        (packed(bp=npy(np.ones((3, 20)))), "no increasing wavelength"),
        (packed(wavelength=npy(np.arange(20.0)[::-1]), bp=GRID), "no increasing wavelength"),
        (packed(wavelength=GRID, bp=npy(np.ones((3, 21)))), r"bp has the shape \(3, 21\), not"),
        (packed(wavelength=GRID, bp=npy(np.full((3, 20), np.nan))), "bp holds numbers that are"),
        (packed(wavelength=GRID, bp=npy(np.zeros((3, 20)))), "bp is zero everywhere"),
        (packed(wavelength=GRID, bp=npy(np.ones((3, 20)))[:-8]), "not of its size"),
        (packed(wavelength=GRID, bp=npy(np.ones((3, 20), int))), "not of floating-point"),
        (packed(wavelength=GRID, bp=b"text"), "magic string"),
        (packed(wavelength=GRID, big=bytes(files._MAX_ARRAY_BYTES)), "it holds too much"),
        (bytes(files.MAX_BYTES + 1), "more than 64 MiB"),
    ],
    # Not the bytes: a zip holds the time, and processes of pytest have to find the same names.
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_is_no_file_of_matrices_is_refused(content, message):
    digest = hashlib.sha256(content).hexdigest()
    with pytest.raises(ConfigError, match=message):
        hold(BasisFile(path="m.npz", sha256=digest), content, "m.npz")


def test_objects_are_not_unpickled():
    values = io.BytesIO()
    np.save(values, np.array([{}], dtype=object), allow_pickle=True)
    content = packed(wavelength=GRID, bp=values.getvalue())
    test_what_is_no_file_of_matrices_is_refused(content, "not of floating-point")


@pytest.mark.parametrize(
    ("name", "values"), [("bp", np.ones((3, 9))), ("rp", np.full((3, 20), 1j))]
)
def test_what_does_not_fit_is_not_written(tmp_path, name, values):
    with pytest.raises(ConfigError, match=f"{name} ha|{name} holds no real"):
        write_matrices(tmp_path / "m.npz", np.arange(20.0), {name: values})
    assert not any(tmp_path.iterdir())
