"""The training store: one zarr group of labelled stars, described for xarray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xarray as xr
import zarr
from numpy.typing import NDArray

from catalog_builder.errors import StoreError
from catalog_builder.features import rvs, xp
from catalog_builder.features.shards import COMPRESSORS
from catalog_builder.features.store import SPECTRA, ArrayDigest, Block
from catalog_builder.model.inputs import LABELS, Scaling, TrainingArrays
from catalog_builder.whole_store import DAMAGE, EVERY_CHUNK, WholeStore, named

#: Units and words of the arrays of a training store; spectra and labels have a second dimension.
DESCRIPTIONS: dict[str, tuple[str, str]] = {
    "source_id": ("", "Gaia source identifier"),
    "labels": ("K, log(cm s-2), dex, dex, dex", "Labels of the survey, NaN where missing"),
    "label_error": ("K, log(cm s-2), dex, dex, dex", "One-sigma errors of the labels"),
    "split": ("", "0 fit, 1 validation, 2 calibration, 3 test"),
    "rvs_flux": ("", "Normalised RVS flux on the model grid, 0 where masked"),
    "rvs_flux_error": ("", "Error of the normalised RVS flux"),
    "rvs_mask": ("", "True where the RVS pixel is usable"),
    "rvs_normalisation": ("", "0 absent, 1 pseudo-continuum, 2 constant, 3 unknown"),
    "xp_flux": ("", "XP flux divided by xp_flux_scale"),
    "xp_flux_error": ("", "Error of the XP flux divided by xp_flux_scale"),
    "xp_flux_scale": ("W m-2 nm-1", "Mean XP flux in the scale window"),
    "parallax": ("mas", "Parallax as published"),
    "parallax_corrected": ("mas", "Parallax minus its zero point"),
    "parallax_error": ("mas", "Error of the parallax"),
    "phot_g_mean_mag": ("mag", "G magnitude"),
    "phot_bp_mean_mag": ("mag", "G_BP magnitude"),
    "phot_rp_mean_mag": ("mag", "G_RP magnitude"),
}


class TrainingWriter:
    """Writes the training store block by block, and its digest with it."""

    def __init__(self, path: Path, rows: int, chunk_rows: int) -> None:
        self._group = zarr.create_group(store=path, zarr_format=3)
        self._rows, self._chunk_rows = rows, chunk_rows
        self._digests: dict[str, ArrayDigest] = {}
        # Kept, because an array that is opened again leaves out empty chunks again.
        self._arrays: dict[str, zarr.Array[Any]] = {}

    def write(self, start: int, block: Block) -> None:
        """Write rows from `start` on; blocks must come in order and begin at chunk borders."""
        for name, values in block.items():
            if name not in self._digests:
                self._create(name, values)
            self._arrays[name][start : start + len(values)] = values
            self._digests[name].update(values)

    def finish(self, attributes: dict[str, Any]) -> dict[str, str]:
        """Write coordinates and attributes; return the digest of each array."""
        for name, values in (
            ("rvs_wavelength", rvs.WAVELENGTHS),
            ("xp_wavelength", xp.WAVELENGTHS),
        ):
            array = self._group.create_array(
                name,
                shape=values.shape,
                chunks=values.shape,
                dtype=values.dtype,
                compressors=COMPRESSORS,
                config=EVERY_CHUNK,
                dimension_names=(name,),
                attributes={"units": "nm", "medium": "vacuum"},
            )
            array[:] = values
        self._group.attrs.update({"kind": "training", "label_names": list(LABELS), **attributes})
        return {name: digest.hexdigest() for name, digest in sorted(self._digests.items())}

    def _create(self, name: str, values: NDArray[Any]) -> None:
        dimensions = ["star"]
        for kind, arrays in SPECTRA.items():
            if name in arrays:
                dimensions.append(f"{kind}_wavelength")
        if values.ndim == 2 and len(dimensions) == 1:
            dimensions.append("label")
        units, words = DESCRIPTIONS.get(name, ("", ""))
        self._arrays[name] = self._group.create_array(
            name,
            shape=(self._rows, *values.shape[1:]),
            chunks=(max(1, min(self._chunk_rows, self._rows)), *values.shape[1:]),
            dtype=values.dtype,
            compressors=COMPRESSORS,
            config=EVERY_CHUNK,
            dimension_names=dimensions,
            attributes={k: v for k, v in (("units", units), ("long_name", words)) if v},
        )
        self._digests[name] = ArrayDigest(name, values.dtype.str)


def open_training(path: Path) -> xr.Dataset:
    """Open a training store lazily.

    Raises
    ------
    StoreError
        If it is not one.
    """
    try:
        dataset: xr.Dataset = xr.open_zarr(WholeStore(path), consolidated=False, chunks=None)
    except DAMAGE as error:
        raise StoreError(
            f"{path} is not a training store ({error}).", "Run `catalog-builder training-set`."
        ) from None
    if dataset.attrs.get("kind") != "training":
        raise StoreError(f"{path} is not a training store.", "Run `catalog-builder training-set`.")
    return dataset


def write_scaling(path: Path, scaling: dict[str, list[float]]) -> None:
    """Keep the scaling of a training store as an attribute of it."""
    zarr.open_group(path, mode="r+").attrs["scaling"] = scaling


def load_training(path: Path) -> tuple[TrainingArrays, Scaling]:
    """Read a whole training store into memory: labelled stars only, some 7 kB each."""
    with named(path, "training store"):
        dataset = open_training(path).load()
        scaling = Scaling.from_json(dataset.attrs["scaling"])
    block = {str(name): values.values for name, values in dataset.data_vars.items()}
    arrays = TrainingArrays(
        labels=block.pop("labels"),
        label_error=block.pop("label_error"),
        split=block.pop("split"),
        block=block,
    )
    return arrays, scaling
