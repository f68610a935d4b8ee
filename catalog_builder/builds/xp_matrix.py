"""Make ``xp_dr3.npz``: the matrices that turn Gaia DR3 XP coefficients into sampled flux.

Run once per release of the calibration, with GaiaXPy installed (it is no dependency of the
product)::

    python -m catalog_builder.builds.xp_matrix catalog_builder/features/xp_dr3.npz

Behind the file, two words name the models of BP and RP of another calibration, as GaiaXPy has
them. The last line printed is what ``basis`` of a release description says of the file.

Gaia publishes the linear map as two tables, XpSampling and XpMerge (models v375wi and v142r,
https://www.cosmos.esa.int/web/gaia/dr3-xpmergexpsampling); GaiaXPy (BSD-3) carries the same tables.
Credit: ESA/Gaia/DPAC.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
from pathlib import Path

import numpy as np

from catalog_builder.ground.errors import CatalogBuilderError, ConfigError

BP_MODEL = "v375wi"
RP_MODEL = "v142r"


def xp_matrices(bp_model: str = BP_MODEL, rp_model: str = RP_MODEL) -> dict[str, np.ndarray]:
    """Read the published tables out of GaiaXPy.

    Parameters
    ----------
    bp_model, rp_model : str
        GaiaXPy's names of the calibration.

    Returns
    -------
    dict of str to numpy.ndarray
        With DR3's sizes: ``wavelength`` (343,) nm; ``bp`` and ``rp`` (55, 343) W m-2 nm-1 per unit
        coefficient, the merge weights included, so that ``flux = bp_coefficients @ bp +
        rp_coefficients @ rp`` for a source with both bands; ``bp_weight`` and ``rp_weight`` (343,),
        the merge weights: where a band is missing, the other alone gives
        ``coefficients @ bp / bp_weight`` where its weight is not zero.

    Raises
    ------
    ConfigError
        If GaiaXPy is not installed.
    """
    try:
        config = importlib.import_module("gaiaxpy.core.config")
    except ImportError as error:
        raise ConfigError(
            "GaiaXPy is not installed, and its tables are the input of this script.",
            "Install it with `pip install gaiaxpy`.",
        ) from error
    wavelength, weights = config.load_xpmerge_from_xml(bp_model=bp_model, rp_model=rp_model)
    sampling = config.load_xpsampling_from_xml(bp_model=bp_model, rp_model=rp_model)
    matrices = {"wavelength": np.asarray(wavelength, dtype=np.float64)}
    for band in ("bp", "rp"):
        weight = np.asarray(weights[band], dtype=np.float64)
        matrices[f"{band}_weight"] = weight
        # float64: neighbouring coefficients cancel, and the file must reproduce GaiaXPy to 1e-6.
        matrices[band] = np.asarray(sampling[band], dtype=np.float64) * weight
    return matrices


def main(arguments: list[str]) -> int:
    """Write the file named by the first argument; return the exit code."""
    if len(arguments) not in {1, 3}:
        print(
            "usage: python -m catalog_builder.builds.xp_matrix OUT [BP_MODEL RP_MODEL]",
            file=sys.stderr,
        )
        return ConfigError.exit_code
    out = Path(arguments[0])
    try:
        matrices = xp_matrices(*arguments[1:])
    except CatalogBuilderError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    np.savez_compressed(out, allow_pickle=False, **matrices)
    print(f"{out}: {out.stat().st_size} bytes, " + ", ".join(map(str, matrices)))
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    print(f"basis: {{path: {out.name}, sha256: {digest}}}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
