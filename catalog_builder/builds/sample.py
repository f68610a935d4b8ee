"""Describe the stars of a survey's sample by a mixture of Gaussians, for skies like it.

``python -m catalog_builder.builds.sample FOLDER OUT`` reads the training sample of Guiglion et al.
2020 (A&A 644, A168): ``training_sample_labels.csv`` and ``training_sample_parameters.csv``, row by
row the same stars. It writes the `population` of a simulation: moments and quantiles, and no star's
own numbers.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import yaml

from catalog_builder.simulate.population.sample import UNITS, VARIABLES

_COMPONENTS: Final = 12
#: Labels of RAVE's own pipeline are sometimes absurd: farther from the median than this many
#: deviations is left out.
_CLIP: Final = 6.0


def population(folder: Path) -> dict[str, Any]:
    """Return the content of the `population` of a simulation."""
    from sklearn.mixture import GaussianMixture

    labels = pl.read_csv(folder / "training_sample_labels.csv", infer_schema_length=None)
    seen = pl.read_csv(folder / "training_sample_parameters.csv", infer_schema=False)
    g = seen["phot_g_mean_mag"].str.strip_chars().cast(pl.Float64).to_numpy()
    values = labels.select(
        pl.col("Teff").log().alias("ln_teff"),
        pl.col("logg"),
        pl.col("MH").alias("m_h"),
        (pl.col("FeH") - pl.col("MH")).alias("fe_m"),
        pl.col("alphaM").alias("alpha_m"),
    )
    table = values.select(VARIABLES).to_numpy() / UNITS
    middle = np.median(table, axis=0)
    spread = 1.4826 * np.median(np.abs(table - middle), axis=0)
    kept = np.isfinite(table).all(axis=1) & (np.abs(table - middle) < _CLIP * spread).all(axis=1)
    model = GaussianMixture(_COMPONENTS, random_state=0, reg_covar=1e-3, n_init=3).fit(table[kept])
    order = np.argsort(-model.weights_)
    return {
        "source": "labels and G of 3 904 RAVE x APOGEE stars, Guiglion et al. 2020 (A&A 644, A168)",
        "stars": int(kept.sum()),
        "magnitudes": np.quantile(g[kept], np.linspace(0.005, 0.995, 21)).round(2).tolist(),
        "mixture": [
            {
                "weight": round(float(model.weights_[k]), 4),
                "mean": model.means_[k].round(3).tolist(),
                "factor": np.linalg.cholesky(model.covariances_[k])[np.tril_indices(5)]
                .round(3)
                .tolist(),
            }
            for k in order
        ],
    }


def main(folder: Path, out: Path) -> None:
    """Fit, and write."""
    text = yaml.safe_dump(
        {"population": population(folder)}, sort_keys=False, width=100, default_flow_style=None
    )
    out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
