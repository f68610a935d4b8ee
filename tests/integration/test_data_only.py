"""Another label, another spectrum, other bands, another table: descriptions alone, to the end.

Each test takes a copy of the program and changes YAML in it; a sky is simulated and carried to a
sealed catalogue by that copy's command, or by its descriptions. What was changed is what git says:
not a line of Python.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from catalog_builder import open_catalog
from catalog_builder.simulate.sky import simulate
from tests.integration.conftest import QUICK, sealed

ROOT = Path(__file__).parents[2]
#: Seconds for a whole run of a copy: fewer than any test has.
PATIENCE = 540


class Copy:
    """A working copy of the program that a test changes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for part in ("catalog_builder", "schemas", "docs"):
            # With what Python and numba have compiled, which is valid while times are kept.
            # What other tests are writing there just now is gone before it is copied.
            unfinished = shutil.ignore_patterns("*.pyc.*", "*.tmp.*")
            shutil.copytree(ROOT / part, folder / part, ignore=unfinished)
        (folder / ".gitignore").write_text("__pycache__\n")
        self.git("init", "--quiet")
        self.git("add", "--all")
        self.git("-c", "user.name=A", "-c", "user.email=a@b", "commit", "--quiet", "-m", "As it is")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, check=True, capture_output=True, text=True
        )
        return done.stdout

    def python(self, *arguments: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        try:
            done = subprocess.run(
                [sys.executable, *arguments],
                cwd=self.folder, env=environment, capture_output=True, text=True, check=False,
                timeout=PATIENCE,
            )  # fmt: skip
        except subprocess.TimeoutExpired as slow:
            said = (slow.stderr or b"").decode(errors="replace")
            pytest.fail(f"Not done in {PATIENCE} s; the last that it said:\n{said[-2000:]}")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def edit(self, name: str, change) -> None:
        file = self.folder / "schemas" / name
        content = yaml.safe_load(file.read_text())
        change(content)
        file.write_text(yaml.safe_dump(content, sort_keys=False))

    def changed(self) -> list[str]:
        lines = self.git("diff", "--stat", "--name-only").split()
        return sorted(lines + self.git("ls-files", "--others", "--exclude-standard").split())

    def file(self, name: str) -> str:
        return str(self.folder / "schemas" / name)


@pytest.fixture
def copy(tmp_path):
    return Copy(tmp_path / "copy")


def carried(site, sky: Path, workdir: Path, *assignments: str) -> Path:
    """Carry a sky to a sealed catalogue with a report; return its folder."""
    settings = ("publish.report=true", "publish.chunk_rows=65536", *assignments)
    replace(site, archive=sky).run(workdir, *settings)
    (sealed_catalogue,) = sealed(workdir)
    return sealed_catalogue


def test_without_iron(copy, site, archive, tmp_path):
    copy.edit("labels/apogee-dr17.yaml", lambda survey: survey["labels"].pop("fe_h"))
    assert copy.changed() == ["schemas/labels/apogee-dr17.yaml"]
    survey = copy.file("labels/apogee-dr17.yaml")
    sealed_folder = carried(
        site, archive, tmp_path / "work", f"training.survey={survey}", "model.folds=0"
    )
    catalogue = open_catalog(sealed_folder)
    assert not [name for name in catalogue.data_vars if "fe_h" in name]
    assert np.isfinite(catalogue["m_h"].values).mean() > 0.9
    assert "[Fe/H]" not in (sealed_folder / "report.html").read_text()
    flags = json.loads((sealed_folder / "schema.json").read_text())["flags"]
    assert not [bit for bit in flags["bits"] if "fe_h" in bit["name"]]


def with_a_third_spectrum(release) -> None:
    release["spectra"]["blue"] = {
        "kind": "lines", "title": "Blue", "products": [
            {
                "table": "blue_spectrum",
                "announced_by": {"column": "blue_code", "table": "tmass", "values": [1, 2]},
            }
        ],
        "grid": {"start": 8480.0, "step": 0.4, "count": 501, "unit": "Angstrom"},
        "medium": "air", "frame": "rest", "resolution": 7500,
        "normalisation": {"code": "normalised", "values": {1: "pseudo_continuum", 2: "constant"}},
        "sig_to_noise": "blue_sig_to_noise", "low_sig_to_noise": 20.0,
        "model_grid": {"start": 848.4, "step": 0.05, "count": 392, "unit": "nm"},
    }  # fmt: skip
    release["photometry"]["infrared"] = {
        "title": "J, H and Ks",
        "bands": {
            "j": {"column": "j_m", "title": "J", "ucd": "phot.mag;em.IR.J"},
            "h": {"column": "h_m", "title": "H", "ucd": "phot.mag;em.IR.H"},
            "ks": {"column": "ks_m", "title": "Ks", "ucd": "phot.mag;em.IR.K"},
        },
        "colours": [["j", "h"], ["h", "ks"]],
    }
    release["joined_tables"] = ["tmass"]
    release["driving_tables"].append("blue_spectrum")
    key = {"dtype": "int64", "required": True}
    magnitude = {"dtype": "float32", "unit": "mag"}
    release["tables"]["tmass"] = {
        "folders": ["tmass"], "stem": "Tmass_", "formats": ["csv.gz"],
        "columns": {
            "source_id": key, "j_m": magnitude, "h_m": magnitude, "ks_m": magnitude,
            "blue_code": {"dtype": "int16"}, "blue_sig_to_noise": {"dtype": "float32"},
        },
    }  # fmt: skip
    array = {"dtype": "float32", "length": 501, "required": True}
    release["tables"]["blue_spectrum"] = {
        "folders": ["blue"], "stem": "BlueSpectrum_", "formats": ["csv.gz"],
        "columns": {
            "source_id": key, "flux": array, "flux_error": array, "normalised": {"dtype": "int16"},
        },
    }  # fmt: skip


def test_a_third_spectrum_infrared_bands_and_a_joined_table(copy, site, tmp_path):
    copy.edit("releases/dr3.yaml", with_a_third_spectrum)
    assert copy.changed() == ["schemas/releases/dr3.yaml"]
    release = copy.file("releases/dr3.yaml")
    simulate(release, 1500, 12, tmp_path / "sky")
    # A model without a fifth of so few stars has no test of the rarer spectrum.
    settings = (f"release={release}", "model.folds=0")
    sealed_folder = carried(site, tmp_path / "sky", tmp_path / "work", *settings)
    catalogue = open_catalog(sealed_folder)
    flags = json.loads((sealed_folder / "schema.json").read_text())["flags"]
    bits = {bit["name"]: bit["bit"] for bit in flags["bits"]}
    has = {
        name: (catalogue["flags"].values >> bits[f"{name}_used"]) & 1 == 1
        for name in ("rvs", "xp", "photometry", "parallax", "blue", "infrared")
    }
    assert all(used.mean() > 0.05 for used in has.values()), {n: u.mean() for n, u in has.items()}
    assert (catalogue["has_blue"].values == has["blue"]).all()
    for name in ("blue_distance", "blue_misfit", "blue_map_x"):
        assert (np.isfinite(catalogue[name].values) == has["blue"]).all(), name
    both = has["rvs"] & has["blue"]
    assert (np.isfinite(catalogue["rvs_blue_conflict"].values) == both).all()
    assert np.isfinite(catalogue["j_m"].values).mean() > 0.5
    assert np.isfinite(catalogue["blue_sig_to_noise"].values).any()
    metrics = json.loads((sealed_folder / "RELEASE.json").read_text())["metrics"]
    assert {"without_blue", "without_infrared"} <= set(metrics)
    report = (sealed_folder / "report.html").read_text()
    assert "Blue" in report
    assert "J, H and Ks" in report


# Last: by then all is compiled that its copy of the program takes along.
def with_magnesium(survey) -> None:
    survey["labels"]["mg_fe"] = {
        "column": "MG_FE", "error": "MG_FE_ERR", "unit": "dex",
        "error_floor": 0.01, "error_if_missing": 0.05,
    }  # fmt: skip
    survey["cuts"].append({
        "name": "mg_fe_error_large", "because": "The error of [Mg/Fe] is above 0.2 dex.",
        "range": {"column": "MG_FE_ERR", "maximum": 0.2}, "rejects": ["mg_fe"],
    })  # fmt: skip


def test_a_sixth_label(copy, tmp_path):
    copy.edit("labels/apogee-dr17.yaml", with_magnesium)
    assert copy.changed() == ["schemas/labels/apogee-dr17.yaml"]
    settings = [
        part for one in (*QUICK, "demo.stars=1500", "cluster.workers=1") for part in ("--set", one)
    ]
    settings += ["--set", "publish.report=true", "--workdir", str(tmp_path / "work")]
    copy.python("-m", "catalog_builder.cli", "run", "--release", "dr3-demo", *settings)
    (sealed_folder,) = sealed(tmp_path / "work")
    catalogue = open_catalog(sealed_folder)
    parts = ("mg_fe", "e_mg_fe", "e95_mg_fe", "e_mg_fe_aleatoric", "e_mg_fe_epistemic")
    correlations = [f"corr_{one}_mg_fe" for one in ("teff", "logg", "m_h", "alpha_m", "fe_h")]
    for name in (*parts, *correlations):
        assert np.isfinite(catalogue[name].values).mean() > 0.9, name
    schema = json.loads((sealed_folder / "schema.json").read_text())
    bits = {bit["name"]: bit for bit in schema["flags"]["bits"]}
    assert bits["mg_fe_outside_range"]["doubts"] == ["mg_fe"]
    assert len({bit["bit"] for bit in bits.values()}) == len(bits)
    gold = schema["flags"]["tiers"][0]
    assert "mg_fe_outside_range" in gold["without"]
    assert "mg_fe" in gold["largest_sigma"]
    assert (
        "mg_fe"
        in json.loads((sealed_folder / "RELEASE.json").read_text())["metrics"]["as_observed"]["all"]
    )
    assert "[Mg/Fe]" in (sealed_folder / "report.html").read_text()
    clean = open_catalog(sealed_folder, clean=True)
    outside = (catalogue["flags"].values >> bits["mg_fe_outside_range"]["bit"]) & 1 == 1
    assert not np.isfinite(clean["mg_fe"].values[outside]).any()
    copy.python("docs/generate.py")
    assert "\ne_mg_fe  float32" in (copy.folder / "docs" / "schema.md").read_text()
    assert all(not name.endswith(".py") for name in copy.changed())
