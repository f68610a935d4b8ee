"""Descriptions that name more than today's: labels, a spectrum, bands, joined tables."""

from __future__ import annotations

import copy

import yaml

from catalog_builder.ground.resources import schemas_dir

GRID = {"start": 8480.0, "step": 0.5, "count": 401, "unit": "Angstrom"}
J_H_KS = {
    "j": {"column": "j_m", "title": "J"},
    "h": {"column": "h_m", "title": "H"},
    "ks": {"column": "ks_m", "title": "Ks"},
}


def description(folder, name):
    """Return the content of a shipped description."""
    return yaml.safe_load((schemas_dir() / folder / f"{name}.yaml").read_text())


def save(content, path):
    """Write a description; return its path as a setting has it."""
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return str(path)


def with_third_spectrum_and_infrared():
    """Return DR3 with a spectrograph in air, and two joined tables."""
    release = description("releases", "dr3")
    release["name"] = "wider"
    release["joined_tables"] = ["tmass", "other_survey"]
    release["driving_tables"].append("other_spectrum")
    release["spectra"]["hr"] = {
        "kind": "lines",
        "title": "HR",
        "products": [
            {
                "table": "other_spectrum",
                "flux": "depth",
                "flux_error": "depth_error",
                "announced_by": {"column": "arm", "table": "other_survey", "values": [3, 5]},
            }
        ],
        "grid": GRID,
        "medium": "air",
        "frame": "rest",
        "resolution": 7500,
        "correlation_length": 0.1,
        "normalisation": {"code": "way", "values": {1: "constant", 2: "pseudo_continuum"}},
        "sig_to_noise": "hr_snr",
        "model_grid": {"start": 848.5, "step": 0.1, "count": 190, "unit": "nm"},
    }
    release["photometry"]["tmass"] = {
        "title": "2MASS",
        "bands": copy.deepcopy(J_H_KS),
        "colours": [["j", "ks"], ["h", "ks"]],
    }
    key = {"dtype": "int64", "required": True}
    length = {"dtype": "float32", "length": GRID["count"], "required": True}
    for table, columns in {
        "tmass": {b["column"]: {"dtype": "float32", "unit": "mag"} for b in J_H_KS.values()},
        "other_survey": {"arm": {"dtype": "int16"}, "hr_snr": {"dtype": "float32"}},
        "other_spectrum": {"depth": length, "depth_error": length, "way": {"dtype": "int16"}},
    }.items():
        release["tables"][table] = {
            "folders": [f"other/{table}"],
            "stem": f"{table}_",
            "formats": ["csv.gz"],
            "columns": {"source_id": key, **columns},
        }
    return release


def with_mg_fe():
    """Return DR17 with a sixth label."""
    survey = description("labels", "apogee-dr17")
    survey["name"] = "with-magnesium"
    survey["labels"]["mg_fe"] = {
        "column": "MG_FE", "error": "MG_FE_ERR", "unit": "dex",
        "error_floor": 0.01, "error_if_missing": 0.05,
    }  # fmt: skip
    return survey


def without_fe_h():
    """Return DR17 with four labels."""
    survey = description("labels", "apogee-dr17")
    survey["name"] = "without-iron"
    del survey["labels"]["fe_h"], survey["bits"]["FE_H_FLAG"]
    survey["cuts"] = [cut for cut in survey["cuts"] if cut["rejects"] != ["fe_h"]]
    return survey
