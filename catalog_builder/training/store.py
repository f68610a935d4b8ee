"""The training store: one zarr group of labelled stars, described for xarray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xarray as xr
import zarr
from numpy.typing import NDArray

from catalog_builder.contract.contract import Contract
from catalog_builder.contract.inputs import SpectrumInput
from catalog_builder.errors import StoreError
from catalog_builder.features.shards import COMPRESSORS
from catalog_builder.features.store import ArrayDigest, Block, arrays_of
from catalog_builder.labels.agreed import default_contract
from catalog_builder.model.inputs import Scaling, TrainingArrays
from catalog_builder.whole_store import DAMAGE, EVERY_CHUNK, WholeStore, named


class TrainingWriter:
    """Writes the training store block by block, and its digest with it.

    Parameters
    ----------
    path : Path
        Folder of the new store.
    rows, chunk_rows : int
        Stars, and stars of a chunk.
    contract : Contract, optional
        What labels and inputs are; `default_contract` where nobody says.
    """

    def __init__(
        self, path: Path, rows: int, chunk_rows: int, contract: Contract | None = None
    ) -> None:
        self._contract = contract or default_contract()
        self._words = _descriptions(self._contract)
        self._axes = {
            array: f"{spectrum}_wavelength"
            for spectrum, arrays in arrays_of(self._contract.inputs).items()
            for array in arrays
        }
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
            {"kind": "training", "contract": self._contract.model_dump(mode="json"), **attributes}
        )
        return {name: digest.hexdigest() for name, digest in sorted(self._digests.items())}

    def _create(self, name: str, values: NDArray[Any]) -> None:
        dimensions = ["star"]
        if values.ndim > 1:
            dimensions.append(self._axes.get(name, "label"))
        units, words = self._words.get(name, ("", ""))
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


def _descriptions(contract: Contract) -> dict[str, tuple[str, str]]:
    """Return unit and words of the arrays; spectra and labels have a second dimension."""
    units = ", ".join(label.unit or ("dex" if label.in_dex else "1") for label in contract.labels)
    said = {
        "source_id": ("", "Gaia source identifier"),
        "labels": (units, "Labels of the survey, NaN where missing"),
        "label_error": (units, "One-sigma errors of the labels"),
        "split": ("", "0 fit, 1 validation, 2 calibration, 3 test"),
    }
    for name, spectrum in contract.inputs.spectra.items():
        said |= _lines(name, spectrum) if spectrum.kind == "lines" else _scaled(name, spectrum)
        if spectrum.sig_to_noise is not None:
            said[spectrum.sig_to_noise] = ("", f"Signal-to-noise ratio of the {spectrum.title}")
    for band in contract.inputs.bands:
        said[band.column] = ("mag", f"{band.title} magnitude")
    if contract.inputs.parallax:
        said |= {
            "parallax": ("mas", "Parallax as published"),
            "parallax_corrected": ("mas", "Parallax minus its zero point"),
            "parallax_error": ("mas", "Error of the parallax"),
        }
    return said


def _lines(name: str, spectrum: SpectrumInput) -> dict[str, tuple[str, str]]:
    title = spectrum.title
    return {
        f"{name}_flux": ("", f"Normalised {title} flux on the model grid, 0 where masked"),
        f"{name}_flux_error": ("", f"Error of the normalised {title} flux"),
        f"{name}_mask": ("", f"True where the {title} pixel is usable"),
        f"{name}_normalisation": ("", "0 absent, 1 pseudo-continuum, 2 constant, 3 unknown"),
    }


def _scaled(name: str, spectrum: SpectrumInput) -> dict[str, tuple[str, str]]:
    title = spectrum.title
    return {
        f"{name}_flux": ("", f"{title} flux divided by {name}_flux_scale"),
        f"{name}_flux_error": ("", f"Error of the {title} flux divided by {name}_flux_scale"),
        f"{name}_flux_scale": ("", f"Mean {title} flux in the scale window, as the archive has it"),
    }


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
