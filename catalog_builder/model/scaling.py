"""Means and deviations that bring inputs and labels to order 1."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from catalog_builder.errors import ModelError
from catalog_builder.features.xp import N_SAMPLES
from catalog_builder.model.arrays import LABELS

FloatArray = NDArray[np.floating]

# What a float32 can be divided by and leave a finite number. Columns that vary less are constant,
# columns that lie further out are nonsense: neither can be scaled.
_LEAST, _MOST = 1e-30, 1e30

# Columns of every input that is standardised. `luminosity` is parallax and G together: it exists
# where both do, so that a star without photometry does not see its magnitude by another door.
WIDTHS = {"xp": N_SAMPLES + 1, "photometry": 3, "parallax": 3, "luminosity": 2}


@dataclass(frozen=True)
class Scaling:
    """Mean and standard deviation of every standardised input and of the labels.

    Labels are those of `design_labels`: the first is ln(Teff / K).
    """

    xp_mean: NDArray[np.float64]
    xp_std: NDArray[np.float64]
    photometry_mean: NDArray[np.float64]
    photometry_std: NDArray[np.float64]
    parallax_mean: NDArray[np.float64]
    parallax_std: NDArray[np.float64]
    luminosity_mean: NDArray[np.float64]
    luminosity_std: NDArray[np.float64]
    labels_mean: NDArray[np.float64]
    labels_std: NDArray[np.float64]

    @classmethod
    def from_statistics(cls, statistics: Mapping[str, tuple[FloatArray, FloatArray]]) -> Scaling:
        """Build a scaling from the statistics of the fit stars.

        Parameters
        ----------
        statistics : mapping of str to (mean, std)
            For each key of `design_features` that any fit star has, and for ``labels``: mean and
            standard deviation per column, NaN rows left out. An input left out is not scaled.

        Raises
        ------
        ModelError
            If a name is unknown or the arrays are not as wide as the input.
        """
        widths = WIDTHS | {"labels": len(LABELS)}
        if unknown := sorted(set(statistics) - set(widths)):
            raise ModelError(
                f"scaling statistics for unknown inputs: {', '.join(unknown)}.",
                f"Known are {', '.join(widths)}.",
            )
        arrays: dict[str, NDArray[np.float64]] = {}
        for name, width in widths.items():
            given = statistics.get(name, (np.zeros(width), np.ones(width)))
            mean, std = (np.asarray(values, dtype=np.float64) for values in given)
            if mean.shape != (width,) or std.shape != (width,):
                raise ModelError(
                    f"scaling of {name} has shapes {mean.shape} and {std.shape}, not ({width},).",
                    "Compute the statistics on the columns of design_features.",
                )
            # A constant or wholly missing column carries nothing: any finite scale will do.
            arrays[f"{name}_mean"] = np.where(np.abs(mean) <= _MOST, mean, 0.0)
            arrays[f"{name}_std"] = np.where((std >= _LEAST) & (std <= _MOST), std, 1.0)
        return cls(**arrays)

    def digest(self) -> str:
        """Return the SHA-256 of all arrays, as hexadecimal digits."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, list[float]]:
        """Return the arrays as lists; their decimal form gives back the same bits."""
        return {field.name: getattr(self, field.name).tolist() for field in fields(self)}

    @classmethod
    def from_json(cls, document: Mapping[str, list[float]]) -> Scaling:
        """Build a scaling from `to_json`.

        Raises
        ------
        ModelError
            If an array is missing, one too many or of another length, or holds a number that
            `from_statistics` does not make: nothing is set right here.
        """
        names = {field.name for field in fields(cls)}
        if set(document) != names:
            raise ModelError(
                f"the model's scaling holds {sorted(document)}, not {sorted(names)}.",
                "Train the model again with this version of the program.",
            )
        stems = [name.removesuffix("_mean") for name in sorted(names) if name.endswith("_mean")]
        scaling = cls.from_statistics(
            {
                stem: (np.array(document[f"{stem}_mean"]), np.array(document[f"{stem}_std"]))
                for stem in stems
            }
        )
        for name, values in scaling.to_json().items():
            if values != document[name]:
                raise ModelError(
                    f"scaling.{name} holds a number that nothing can be scaled with: deviations are"
                    f" {_LEAST:g} to {_MOST:g}, means no larger.",
                    "Train the model again with this version of the program.",
                )
        return scaling

    def standardise(self, name: str, values: Tensor) -> Tensor:
        """Scale the columns of one input, (n, k) float32."""
        key = (name, values.device)
        if key not in self._tensors:
            self._tensors[key] = tuple(
                torch.as_tensor(getattr(self, f"{name}_{kind}"), dtype=torch.float32).to(
                    values.device
                )
                for kind in ("mean", "std")
            )
        mean, std = self._tensors[key]
        return (values - mean) / std

    @cached_property
    def _tensors(self) -> dict[tuple[str, torch.device], tuple[Tensor, ...]]:
        """Means and deviations on each device: a copy in every step would stall a GPU."""
        return {}
