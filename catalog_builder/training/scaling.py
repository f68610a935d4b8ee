"""Means and deviations that bring inputs and labels to order 1."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from catalog_builder.contract.contract import Contract
from catalog_builder.ground.errors import ModelError
from catalog_builder.training.shapes import LABELS, widths_of

FloatArray = NDArray[np.floating]

# What a float32 can be divided by and leave a number with a finite square. Columns that vary less
# are constant, columns that lie further out are nonsense: neither can be scaled.
_LEAST, _MOST = 1e-15, 1e15


@dataclass(frozen=True)
class Scaling:
    """Mean and standard deviation of every standardised input and of the labels.

    Attributes
    ----------
    arrays : dict of str to numpy.ndarray
        ``<name>_mean`` and ``<name>_std`` for each name of `widths_of`; float64. Labels are those
        of `design_labels`.
    """

    arrays: Mapping[str, NDArray[np.float64]]

    @classmethod
    def from_statistics(
        cls, statistics: Mapping[str, tuple[FloatArray, FloatArray]], contract: Contract
    ) -> Scaling:
        """Build a scaling from the statistics of the fit stars.

        Parameters
        ----------
        statistics : mapping of str to (mean, std)
            For each key of `design_features` that any fit star has, and for ``labels``: mean and
            standard deviation per column, NaN rows left out. An input left out is not scaled.
        contract : Contract
            What inputs and labels there are.

        Raises
        ------
        ModelError
            If a name is unknown or the arrays are not as wide as the input.
        """
        widths = widths_of(contract)
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
        return cls(arrays)

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        """Return one of the arrays."""
        return self.arrays[name]

    @property
    def labels_mean(self) -> NDArray[np.float64]:
        """Mean of each label as the network learns it, (l,)."""
        return self.arrays[f"{LABELS}_mean"]

    @property
    def labels_std(self) -> NDArray[np.float64]:
        """Standard deviation of each, (l,)."""
        return self.arrays[f"{LABELS}_std"]

    def digest(self) -> str:
        """Return the SHA-256 of all arrays, as hexadecimal digits."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, list[float]]:
        """Return the arrays as lists; their decimal form gives back the same bits."""
        return {name: values.tolist() for name, values in self.arrays.items()}

    @classmethod
    def from_json(cls, document: Mapping[str, list[float]], contract: Contract) -> Scaling:
        """Build a scaling from `to_json`.

        Raises
        ------
        ModelError
            If an array is missing, one too many or of another length, or holds a number that
            `from_statistics` does not make: nothing is set right here.
        """
        stems = list(widths_of(contract))
        names = {f"{stem}_{kind}" for stem in stems for kind in ("mean", "std")}
        if set(document) != names:
            raise ModelError(
                f"the model's scaling holds {_some(document)}, not {_some(names)}.",
                "Train the model again with this version of the program.",
            )
        scaling = cls.from_statistics(
            {
                stem: (np.array(document[f"{stem}_mean"]), np.array(document[f"{stem}_std"]))
                for stem in stems
            },
            contract,
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
                torch.as_tensor(self.arrays[f"{name}_{kind}"], dtype=torch.float32).to(
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


def _some(names: object) -> str:
    listed = sorted(str(name)[:40] for name in names)  # type: ignore[attr-defined]
    return ", ".join(listed[:12]) + (f" and {len(listed) - 12} more" if len(listed) > 12 else "")
