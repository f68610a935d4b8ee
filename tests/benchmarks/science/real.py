"""Parts `real_split` and `real_stars`: where there is no truth, only labels from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from catalog_builder.archive.layout import list_partitions
from catalog_builder.archive.readers import read_blocks
from catalog_builder.archive.release import ReleaseSpec, load_release
from catalog_builder.features import parallax
from catalog_builder.features.settings import IngestSettings
from catalog_builder.features.spectra import convert
from catalog_builder.features.store import Block, arrays_of
from catalog_builder.ground.errors import InputError
from catalog_builder.inference.columns import catalogue_columns
from catalog_builder.labels.agreed import default_contract, default_schema
from catalog_builder.model.ensemble import Estimator
from catalog_builder.training.design import Split
from catalog_builder.training.store import load_training
from tests.benchmarks.science.context import Context
from tests.benchmarks.science.measures import MAD_TO_SIGMA, judge, wilson
from tests.benchmarks.science.peers.design import Design
from tests.benchmarks.science.peers.methods import perceptron
from tests.benchmarks.science.sky import RunOfModel
from tests.benchmarks.science.views import log_opening

LABELS = default_contract().labels.names

Float = NDArray[np.float64]

_RVS = "rvs_mean_spectrum"
_NAMES = {
    4268620287278693120: "HD 176650",
    2128215909315876352: "Kepler-409",
    1535964555128078720: "Gaia DR3 1535964555128078720",
}
_BENCHMARK = "fixtures/benchmark-stars/gbs_v3_tmass_gaiadr3_hip_allwise_all_columns.fits"


def split(context: Context) -> dict[str, Any]:
    """Compare network and perceptron on the test split of a run on the real archive.

    Returns
    -------
    dict
        ``rows``: per method, range of Teff and label: scatter, RMSE; for the network the share
        within sqrt(sigma^2 + e^2) and within the like of the 95 % interval.
    """
    if context.real_workdir is None:
        raise InputError("No run on the real archive is given.", "Name it with --real-workdir.")
    run = RunOfModel.open(context.real_workdir)
    data, _ = load_training(run.training_store(), default_contract())
    log_opening(context.out, run.digest, {"split": "test", "archive": "real"})
    test = data.subset(Split.TEST)
    estimator = Estimator.load(run.model)
    found = estimator.predict(test.block, 1024)
    peer = perceptron(Design.fit(data.subset(Split.FIT).block), data).predict(test.block)
    teff = test.labels[:, 0]
    ranges = {"all": np.isfinite(teff), "3500 to 7500 K": (teff >= 3500) & (teff <= 7500)}
    rows = []
    for name, inside in ranges.items():
        for k, label in enumerate(LABELS):
            true, error = test.labels[inside, k], np.nan_to_num(test.label_error[inside, k])
            sigma, half = found.sigma[inside, k], found.interval95[inside, k]
            row = {"range": name, "label": label, "method": "network"}
            rows.append(row | _against(found.mean[inside, k] - true, sigma, half, error))
            rows.append({**row, "method": "perceptron"} | _scatter(peer[inside, k] - true))
    return {"model": run.digest, "rows": rows}


def _scatter(d: Float) -> dict[str, Any]:
    d = d[np.isfinite(d)]
    if not len(d):
        return {"n": 0}
    return {
        "n": len(d),
        "bias": float(np.median(d)),
        "scatter": float(MAD_TO_SIGMA * np.median(np.abs(d - np.median(d)))),
        "rmse": float(np.sqrt(np.mean(d**2))),
    }


def _against(d: Float, sigma: Float, half: Float, error: Float) -> dict[str, Any]:
    known = np.isfinite(d) & np.isfinite(sigma)
    result = _scatter(d[known])
    for name, limit in (
        ("cover_68", np.hypot(sigma, error)),
        ("cover_95", np.hypot(half, 1.96 * error)),
    ):
        hits, n = int(np.sum(np.abs(d[known]) <= limit[known])), int(known.sum())
        if n:
            low, high = wilson(hits, n)
            result |= {name: hits / n, f"{name}_low": low, f"{name}_high": high}
    return result | judge(result) if "cover_68" in result else result


def stars(context: Context) -> dict[str, Any]:
    """Apply the model of the simulated sky to real stars that are known from elsewhere.

    Returns
    -------
    dict
        ``rvs``: the stars with a real RVS spectrum and nothing else; ``benchmark``: Gaia FGK
        benchmark stars by photometry and parallax alone, against their fundamental Teff and log g.
    """
    if context.real is None:
        raise InputError("No folder of real data is given.", "Name it with --real.")
    estimator = Estimator.load(context.run.model)
    release = load_release(context.run.config["release"])
    rvs = _rvs_stars(context.real / "real-dr3", release)
    return {
        "rvs": _predictions(estimator, rvs),
        "benchmark": _benchmark(estimator, release, context.real / _BENCHMARK),
    }


def empty_block(source_id: NDArray[np.int64]) -> Block:
    """Return the feature block of stars of which nothing is known."""
    n = len(source_id)
    block: Block = {"source_id": source_id, "ra": np.zeros(n), "dec": np.zeros(n)}
    for arrays in arrays_of(default_contract().inputs).values():
        block |= {name: np.zeros((n, width), kind) for name, (kind, width) in arrays.items()}
    for column in default_schema().columns:
        floating = column.numpy_dtype.kind == "f"
        block[column.name] = np.full(n, np.nan if floating else 0, column.numpy_dtype)
    block |= {"source_id": source_id, "rvs_normalisation": np.zeros(n, np.uint8)}
    for band in ("g", "bp", "rp"):
        block[f"phot_{band}_mean_mag"] = np.full(n, np.nan, np.float32)
    for name in ("xp_flux_scale", "parallax_error", "rvs_spec_sig_to_noise"):
        block[name] = np.full(n, np.nan, np.float32)
    block["parallax"] = block["parallax_corrected"] = np.full(n, np.nan)
    for name in ("rvs", "xp", "photometry", "parallax"):
        block[f"has_{name}"] = np.zeros(n, bool)
    return block


def _rvs_stars(archive: Path, release: ReleaseSpec) -> Block:
    parts = []
    for partition in list_partitions(str(archive), release, ()):
        if _RVS in partition.files:
            parts += [
                block.columns for block in read_blocks(partition.files[_RVS][0], _RVS, release)
            ]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    (reading,) = release.readings[_RVS]
    spectra = convert(reading, columns, IngestSettings())
    block = empty_block(columns["source_id"]) | spectra.rows
    n = len(columns["source_id"])
    with np.errstate(invalid="ignore"):
        sn = np.nanmedian(columns["flux"] / columns["flux_error"], axis=1)
    return block | {
        "has_rvs": np.ones(n, bool),
        "rvs_normalisation": np.full(n, 3, np.uint8),
        "rvs_spec_sig_to_noise": sn.astype(np.float32),
    }


def _predictions(estimator: Estimator, block: Block) -> list[dict[str, Any]]:
    schema = default_schema()
    found = estimator.predict(block, len(block["source_id"]))
    flags = catalogue_columns(block, found, estimator, schema)["flags"]
    rows = []
    for k, source in enumerate(block["source_id"].tolist()):
        row: dict[str, Any] = {
            "name": _NAMES.get(source, str(source)),
            "sig_to_noise": float(block["rvs_spec_sig_to_noise"][k]),
            "flags": [bit.name for bit in schema.flags.active if int(flags[k]) & bit.mask],
        }
        for j, label in enumerate(LABELS):
            row[label] = json_number(found.mean[k, j])
            row[f"e_{label}"] = json_number(found.sigma[k, j])
        rows.append(row)
    return rows


def json_number(value: float) -> float | None:
    """Return a number as JSON knows it: no NaN."""
    return float(value) if np.isfinite(value) else None


def _benchmark(estimator: Estimator, release: ReleaseSpec, file: Path) -> dict[str, Any]:
    with fits.open(file) as table:
        rows = np.array(table[1].data)
    rows = rows[rows["source_id"] > 0]
    columns = {
        name: np.asarray(rows[name], np.float64)
        for name in (
            "phot_g_mean_mag", "phot_bp_mean_mag", "phot_rp_mean_mag", "parallax",
            "parallax_error", "nu_eff_used_in_astrometry", "pseudocolour", "ecl_lat",
            "astrometric_params_solved",
        )
    }  # fmt: skip
    block = empty_block(np.asarray(rows["source_id"], np.int64))
    for name in block.keys() & columns.keys():
        block[name] = columns[name].astype(block[name].dtype)
    zero = parallax.zero_point(release.parallax_zero_point, columns, len(rows))
    block["parallax_corrected"] = columns["parallax"] - zero
    bands = block["phot_g_mean_mag"] + block["phot_bp_mean_mag"] + block["phot_rp_mean_mag"]
    block["has_photometry"] = np.isfinite(bands)
    block["has_parallax"] = np.isfinite(block["parallax"]) & (block["parallax_error"] > 0)
    schema = default_schema()
    found = estimator.predict(block, len(rows))
    flags = catalogue_columns(block, found, estimator, schema)["flags"]
    counts = {bit.name: int(np.sum((flags & bit.mask) != 0)) for bit in schema.flags.active}
    known = {"teff": "teff", "logg": "logg", "m_h": "fe_h"}
    compared = []
    for label, column in known.items():
        k = LABELS.index(label)
        true = np.asarray(rows[column], np.float64)
        row = _against(
            found.mean[:, k] - true, found.sigma[:, k], found.interval95[:, k], np.zeros(len(rows))
        )
        compared.append({"label": label} | row)
    return {
        "rows": len(rows),
        "with_photometry": int(block["has_photometry"].sum()),
        "with_parallax": int(block["has_parallax"].sum()),
        "flags": {name: count for name, count in counts.items() if count},
        "compared": compared,
    }
