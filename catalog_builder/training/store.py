"""The training store: one zarr group of labelled stars, described for xarray."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import xarray as xr
import zarr
from numpy.typing import NDArray

from catalog_builder.contract.contract import Contract
from catalog_builder.contract.inputs import SpectrumInput
from catalog_builder.features.store import ArrayDigest, Block
from catalog_builder.ground.errors import StoreError
from catalog_builder.stores.shards import COMPRESSORS
from catalog_builder.stores.whole_store import DAMAGE, EVERY_CHUNK, WholeStore, named
from catalog_builder.training.design import Scaling, TrainingArrays

#: Units and words of arrays that every training store has.
_DESCRIPTIONS: Final = {
    "source_id": ("", "Gaia source identifier"),
    "split": ("", "0 fit, 1 validation, 2 calibration, 3 test"),
}
_PARALLAX: Final = {
    "parallax": ("mas", "Parallax as published"),
    "parallax_corrected": ("mas", "Parallax minus its zero point"),
    "parallax_error": ("mas", "Error of the parallax"),
}


def descriptions_of(contract: Contract) -> dict[str, tuple[str, str]]:
    """Return units and words of the arrays; spectra and labels have a second dimension."""
    found = dict(_DESCRIPTIONS)
    units = ", ".join(label.unit or ("dex" if label.in_dex else "") for label in contract.labels)
    found["labels"] = (units, "Labels of the survey, NaN where missing")
    found["label_error"] = (units, "One-sigma errors of the labels")
    for name, spectrum in contract.inputs.spectra.items():
        found |= _of_spectrum(name, spectrum)
    for bands in contract.inputs.photometry.values():
        for band in bands.bands.values():
            found[band.column] = ("mag", f"{band.title} magnitude")
    return found | (_PARALLAX if contract.inputs.parallax else {})


def _of_spectrum(name: str, spectrum: SpectrumInput) -> dict[str, tuple[str, str]]:
    title = spectrum.title
    if spectrum.kind == "lines":
        return {
            f"{name}_flux": ("", f"Normalised {title} flux on the model grid, 0 where masked"),
            f"{name}_flux_error": ("", f"Error of the normalised {title} flux"),
            f"{name}_mask": ("", f"True where the {title} pixel is usable"),
            f"{name}_normalisation": (
                "",
                "0 absent, 1 pseudo-continuum, 2 constant, 3 unknown",
            ),
        }
    return {
        f"{name}_flux": ("", f"{title} flux divided by {name}_flux_scale"),
        f"{name}_flux_error": ("", f"Error of the {title} flux divided by {name}_flux_scale"),
        f"{name}_flux_scale": ("", f"Mean {title} flux in the scale window"),
    }


class TrainingWriter:
    """Writes the training store block by block, and its digest with it."""

    def __init__(self, path: Path, rows: int, chunk_rows: int, contract: Contract) -> None:
        self._group = zarr.create_group(store=path, zarr_format=3)
        self._rows, self._chunk_rows = rows, chunk_rows
        self._contract, self._descriptions = contract, descriptions_of(contract)
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
        for spectrum, seen in self._contract.inputs.spectra.items():
            name, values = f"{spectrum}_wavelength", seen.grid.nanometres()
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
        self._group.attrs.update(
            {"kind": "training", "label_names": list(self._contract.labels.names), **attributes}
        )
        return {name: digest.hexdigest() for name, digest in sorted(self._digests.items())}

    def _create(self, name: str, values: NDArray[Any]) -> None:
        dimensions = ["star"]
        for spectrum in self._contract.inputs.spectra:
            if name in {f"{spectrum}_{kind}" for kind in ("flux", "flux_error", "mask")}:
                dimensions.append(f"{spectrum}_wavelength")
        if values.ndim == 2 and len(dimensions) == 1:
            dimensions.append("label")
        units, words = self._descriptions.get(name, ("", ""))
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


def load_training(path: Path, contract: Contract) -> tuple[TrainingArrays, Scaling]:
    """Read a whole training store into memory: labelled stars only, about 7 kB each.

    Raises
    ------
    StoreError
        If it is absent or damaged, or of other labels than the contract's.
    """
    with named(path, "training store"):
        dataset = open_training(path).load()
        names = tuple(dataset.attrs["label_names"])
        if names != contract.labels.names:
            raise StoreError(
                f"{path} holds the labels {', '.join(map(str, names))}, not"
                f" {', '.join(contract.labels.names)}.",
                "Run `catalog-builder training-set`.",
            )
        scaling = Scaling.from_json(dataset.attrs["scaling"], contract)
    block = {str(name): values.values for name, values in dataset.data_vars.items()}
    arrays = TrainingArrays(
        contract=contract,
        labels=block.pop("labels"),
        label_error=block.pop("label_error"),
        split=block.pop("split"),
        block=block,
    )
    return arrays, scaling
