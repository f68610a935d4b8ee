"""Part `evidence`: do the spectra speak, or the population's habits?

Two tests that look at the model from outside, through its predictions alone: which wavelengths move
which label, and what remains when RVS spectra are shuffled among stars of equal photometry.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from catalog_builder.features.store import Block
from catalog_builder.inference.columns import catalogue_columns
from catalog_builder.labels.agreed import default_contract, default_schema
from catalog_builder.model.ensemble import Estimator, Prediction
from catalog_builder.simulate.score import default_warning_bits
from catalog_builder.training.split import uniform_hash
from tests.benchmarks.science.context import Context
from tests.benchmarks.science.views import hide

LABELS = default_contract().labels.names
WAVELENGTHS = default_contract().inputs.spectra["rvs"].grid.nanometres()

Float = NDArray[np.float64]

#: Pixels of the RVS that are changed together, and by how much of the continuum.
_WINDOW, _BUMP = 4, 0.02
_STARS, _SHUFFLED = 150, 1500
_SEED = 23
#: Lines of the window, vacuum nm: wavelengths in air of the NIST Atomic Spectra Database, brought
#: to vacuum with n = 1.000274. Half-widths hold a line at R = 11 500, wings for the triplet.
LINES: dict[str, tuple[tuple[float, ...], float]] = {
    "Ca II triplet": ((850.036, 854.444, 866.452), 0.30),
    "Fe I": (
        (847.074, 851.640, 851.745, 852.901, 858.462, 861.417, 862.397, 867.713, 869.101),
        0.06,
    ),
    "Si I": ((853.850, 855.912, 865.084), 0.06),
    "Ti I": ((852.038, 868.535, 869.472), 0.06),
}
_ALL_ROWS = ("rvs_flux", "rvs_flux_error", "rvs_mask", "rvs_normalisation", "rvs_spec_sig_to_noise")


def measure(context: Context) -> dict[str, Any]:
    """Return ``gradient`` (mean |d label / d flux| by wavelength), ``regions``, ``shuffle``."""
    estimator = Estimator.load(context.run.model)
    complete = context.predictions.filter(
        pl.col("true.like_training")
        & pl.all_horizontal("has_rvs", "has_xp", "has_photometry", "has_parallax")
    )
    bright = complete.filter(pl.col("rvs_spec_sig_to_noise") > 50)
    gradient = _gradients(context, estimator, _some(bright, _STARS))
    regions = _regions(np.array(gradient["wavelength"]), np.array(gradient["gradient"]))
    shuffle = _shuffle(context, estimator, _some(bright, _SHUFFLED))
    return {"gradient": gradient, "regions": regions, "shuffle": shuffle}


def _some(stars: pl.DataFrame, count: int) -> pl.DataFrame:
    order = uniform_hash(stars["source_id"].to_numpy(), _SEED)
    return stars.with_columns(pl.Series("order", order)).sort("order").head(count)


def _block(context: Context, stars: pl.DataFrame) -> Block:
    blocks = list(context.sky.read(np.sort(stars["source_id"].to_numpy())))
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _gradients(context: Context, estimator: Estimator, stars: pl.DataFrame) -> dict[str, Any]:
    """Change windows of the spectra one after the other, up and down."""
    block = _block(context, stars)
    starts = np.arange(0, len(WAVELENGTHS), _WINDOW)
    found = np.empty((len(starts), len(LABELS)))
    for row, start in zip(found, starts, strict=True):
        moved = []
        for sign in (1.0, -1.0):
            flux = np.array(block["rvs_flux"])
            pixels = slice(start, start + _WINDOW)
            flux[:, pixels] += np.float32(sign * _BUMP) * block["rvs_mask"][:, pixels]
            moved.append(estimator.predict({**block, "rvs_flux": flux}, len(flux)).mean)
        row[:] = np.abs(moved[0] - moved[1]).mean(axis=0) / (2.0 * _BUMP)
    centres = WAVELENGTHS.reshape(-1, _WINDOW).mean(axis=1)
    return {"stars": len(stars), "wavelength": centres.tolist(), "gradient": found.tolist()}


def _regions(wavelength: Float, gradient: Float) -> list[dict[str, Any]]:
    """Mean gradient in the lines over the median of the windows without any of them."""
    half = 0.5 * _WINDOW * (WAVELENGTHS[1] - WAVELENGTHS[0])
    inside = {
        name: np.any(np.abs(wavelength[:, None] - np.array(lines)) < width + half, axis=1)
        for name, (lines, width) in LINES.items()
    }
    none = ~np.any(list(inside.values()), axis=0)
    ground = np.median(gradient[none], axis=0)
    return [
        {"region": name, "windows": int(rows.sum())}
        | dict(zip(LABELS, (gradient[rows].mean(axis=0) / ground).tolist(), strict=True))
        for name, rows in inside.items()
    ]


def _shuffle(context: Context, estimator: Estimator, stars: pl.DataFrame) -> dict[str, Any]:
    """Give each star the RVS spectrum of another of like colour and luminosity.

    With XP hidden, the RVS alone tells abundances: what it told must be lost. With all four inputs
    XP still speaks, and sigma must say that the two contradict each other.
    """
    block = _block(context, stars)
    order = np.argsort(np.asarray(block["source_id"]))
    true = stars.sort("source_id")
    other = _partners(block)
    shuffled = {**block, **{name: block[name][other] for name in _ALL_ROWS}}
    rows, flagged = [], []
    for inputs, hidden in (("all four", ()), ("no XP", ("xp",))):
        for name, used in (("own spectra", block), ("shuffled", shuffled)):
            seen = hide(used, hidden)
            found = estimator.predict(seen, len(order))
            warned, shares = _warnings(seen, found, estimator)
            if not hidden:
                flagged.append({"spectra": name, "shares": shares})
            kept = ~warned[order]
            for k, label in enumerate(LABELS):
                values = true[f"true.{label}"].to_numpy()
                d = np.abs(found.mean[order, k] - values)
                sigma, interval95 = found.sigma[order, k], found.interval95[order, k]
                expected = _expected(block, values, other)
                rows.append(
                    {
                        "inputs": inputs,
                        "spectra": name,
                        "label": label,
                        "n": len(d),
                        "rmse": float(np.sqrt(np.mean(d**2))),
                        "sigma": float(np.median(sigma)),
                        "within": _within(d, sigma, interval95),
                        "unflagged": _within(d[kept], sigma[kept], interval95[kept]),
                        # 1: all of what differs among stars of equal photometry is known; 0 or
                        # less: nothing.
                        "information": float(1.0 - np.mean(d**2) / expected),
                    }
                )
    return {"stars": len(order), "rows": rows, "flags": flagged}


def _warnings(
    block: Block, found: Prediction, estimator: Estimator
) -> tuple[NDArray[np.bool_], dict[str, float]]:
    """Return which stars carry a warning, and the share of stars per warning bit."""
    schema = default_schema()
    flags = catalogue_columns(block, found, estimator, schema)["flags"]
    bits = default_warning_bits()
    warned = (flags & bits) != 0
    shares = {"any warning": float(warned.mean())}
    for bit in schema.flags.active:
        share = float(np.mean((flags & bit.mask) != 0))
        if bit.mask & bits and share > 0:
            shares[bit.name] = share
    return warned, shares


def _within(d: Float, sigma: Float, interval95: Float) -> list[float]:
    """Return the shares within sigma and within the 95 % interval; nothing of no stars."""
    return [float(np.mean(d <= sigma)), float(np.mean(d <= interval95))] if len(d) else []


def _partners(block: Block) -> NDArray[np.intp]:
    """Return for each star another that is a neighbour in colour, brightness and parallax."""
    g = np.asarray(block["phot_g_mean_mag"], np.float64)
    colour = np.asarray(block["phot_bp_mean_mag"] - block["phot_rp_mean_mag"], np.float64)
    luminosity = np.arcsinh(np.asarray(block["parallax"]) * 10.0 ** (g / 5.0 - 2.0))
    # Neighbours along a curve through the colour-magnitude diagram, four apart.
    cell = np.floor(colour / 0.05) * 1000.0 + np.floor(luminosity / 0.1)
    order = np.lexsort((g, cell))
    partner = np.empty(len(order), dtype=np.intp)
    partner[order] = np.roll(order, 4)
    return partner


def _expected(block: Block, values: Float, other: NDArray[np.intp]) -> float:
    """Variance of a label among stars of equal photometry: half that of neighbours' differences."""
    return float(0.5 * np.mean((values - values[other]) ** 2))
