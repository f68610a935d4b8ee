"""Fit how bright stars are beyond the synthetic spectra, from stars whose magnitudes are known.

``python -m catalog_builder.builds.infrared FOLDER OUT`` reads the training sample of
Guiglion et al. 2020 (A&A 644, A168): ``training_sample_labels.csv`` with labels of RAVE stars, and
``training_sample_parameters.csv`` with G, BP, RP, 2MASS J, H, Ks, WISE W1, W2 and the extinction
A_V, row by row the same stars. It writes ``infrared.yaml``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import yaml
from numpy.typing import NDArray

from catalog_builder.simulate.instruments.infrared import shape_of
from catalog_builder.simulate.population.galaxy import extinction_curve

Float = NDArray[np.float64]

#: Columns of the sample, and effective wavelengths [nm] at which a band is dimmed.
_OPTICAL: Final = {
    "g": ("phot_g_mean_mag", 622.0),
    "bp": ("phot_bp_mean_mag", 511.0),
    "rp": ("phot_rp_mean_mag", 777.0),
}
_BANDS: Final = {
    "j": ("Jmag_2MASS", 1235.0, ["j_m", "jmag", "j_mag", "phot_j_mag", "phot_j_mean_mag"]),
    "h": ("Hmag_2MASS", 1662.0, ["h_m", "hmag", "h_mag", "phot_h_mag", "phot_h_mean_mag"]),
    "ks": (
        "Kmag_2MASS", 2159.0,
        ["k", "k_m", "ks_m", "kmag", "ksmag", "k_mag", "ks_mag", "phot_ks_mag", "phot_ks_mean_mag"],
    ),
    "w1": ("wise1", 3353.0, ["w1mpro", "w1_mag", "w1mag"]),
    "w2": ("wise2", 4603.0, ["w2mpro", "w2_mag", "w2mag"]),
}  # fmt: skip
#: Residuals beyond are of wrong matches, variables and saturated stars.
_CLIP = 4.0


def main(folder: Path, out: Path) -> None:
    """Fit, and write the coefficients with what they leave."""
    seen = pl.read_csv(folder / "training_sample_parameters.csv", infer_schema=False)
    seen = seen.select(pl.all().str.strip_chars().cast(pl.Float64))
    labels = pl.read_csv(folder / "training_sample_labels.csv", infer_schema_length=None)
    names = {**_OPTICAL, **{band: found[:2] for band, found in _BANDS.items()}}
    dimming = {band: float(extinction_curve(np.array([at]))[0]) for band, (_, at) in names.items()}
    a_v = seen["av50"].to_numpy()
    intrinsic = {
        band: seen[column].to_numpy() - dimming[band] * a_v for band, (column, _) in names.items()
    }
    colour = intrinsic["bp"] - intrinsic["rp"]
    logg, m_h = labels["logg"].to_numpy(), labels["MH"].to_numpy()
    limits = {
        "colour": _limits(colour), "logg": _limits(logg), "m_h": _limits(m_h)
    }  # fmt: skip
    design = shape_of(colour, logg, m_h, limits)
    target = np.column_stack([intrinsic["g"] - intrinsic[band] for band in _BANDS])
    # Few stars have much dust, and A_V is least certain there.
    kept = np.isfinite(target).all(axis=1) & (a_v < 1.0) & (seen["phot_g_mean_mag"] > 7).to_numpy()
    for _ in range(10):
        solved, *_ = np.linalg.lstsq(design[kept], target[kept], rcond=None)
        left = target - design @ solved
        spread = 1.4826 * np.median(np.abs(left[kept]), axis=0)
        kept &= (np.abs(left) < _CLIP * spread).all(axis=1)
    factor = np.linalg.cholesky(np.cov(left[kept], rowvar=False))
    content = {
        "source": "RAVE stars of Guiglion et al. 2020 (A&A 644, A168): 2MASS, WISE, Gaia, A_V",
        "stars": int(kept.sum()),
        "of": len(kept),
        "limits": {name: [round(value, 3) for value in pair] for name, pair in limits.items()},
        "dimming": {band: round(value, 4) for band, value in dimming.items()},
        "bands": {
            band: {
                "names": found[2],
                "coefficients": [round(float(value), 5) for value in solved[:, k]],
                "scatter": round(float(left[kept][:, k].std()), 4),
                "factor": [round(float(value), 5) for value in factor[k]],
            }
            for k, (band, found) in enumerate(_BANDS.items())
        },
    }
    text = yaml.safe_dump(content, sort_keys=False, width=100, default_flow_style=None)
    out.write_text(_ABOUT + text, encoding="utf-8")


def _limits(values: Float) -> tuple[float, float]:
    low, high = np.quantile(values, [0.005, 0.995])
    return float(low), float(high)


_ABOUT: Final = """\
# Magnitudes beyond the synthetic spectra, which end at 1049 nm. Made by
# `python -m catalog_builder.builds.infrared FOLDER OUT`; infrared.py has the terms.
# G - band, both without dust, is the sum of coefficient times term, where colour, log g and [M/H]
# are held within `limits`. `dimming` is the extinction over that at 550 nm. `scatter` [mag] is what
# the fit leaves, measurement included; `factor` is the row of a Cholesky factor of its covariance.
# `names` are what a release may call the column, or the band, beside its key.
"""


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
