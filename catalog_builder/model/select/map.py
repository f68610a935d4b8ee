"""A map of training spectra in two dimensions (t-SNE), on which new stars are placed.

van der Maaten & Hinton 2008, J. Mach. Learn. Res. 9, 2579; computed with openTSNE (Policar et al.
2024, J. Stat. Softw. 109, 3). A t-SNE map keeps neighbours together and says nothing by its axes or
by the sizes of its islands. A new star gets the place of its neighbours among the training stars;
one that has none, or neighbours from different islands, is outside of the populated regions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor

from catalog_builder.model.select.latent import Nearest, nearest

# Neighbours that each training star is kept close to: the customary number (of 5 to 50).
_PERPLEXITY = 30.0
# Squared distance on the map that counts as none, for a map from -1 to 1.
_LEAST_GAP = 1e-6


@dataclass(frozen=True)
class SpectrumMap:
    """Training stars on the map, in the order of the landmarks they are.

    Attributes
    ----------
    position : Tensor
        (m, 2), from -1 to 1.
    spacing : Tensor
        (m,), squared distance in latent space of each to its own neighbours.
    """

    position: Tensor
    spacing: Tensor

    @classmethod
    def fit(cls, landmarks: Tensor, seed: int) -> Self:
        """Draw the map of landmarks (m, l)."""
        from openTSNE import TSNE

        perplexity = min(_PERPLEXITY, (len(landmarks) - 1) / 3.0)
        # One thread and exact neighbours: the same map every time.
        drawing = TSNE(
            perplexity=perplexity,
            neighbors="exact",
            negative_gradient_method="bh",
            n_jobs=1,
            random_state=seed,
        )
        position = torch.tensor(drawing.fit(landmarks.double().numpy()).tolist())
        return cls(
            position=(position / position.abs().max()).float(),
            # The first of a landmark's nearest is itself.
            spacing=nearest(landmarks, landmarks).square[:, 1].contiguous(),
        )

    @classmethod
    def on(cls, drawn: SpectrumMap, near: Nearest, landmarks: Tensor) -> Self:
        """Return the map of other landmarks, which have their places on one that is drawn already.

        Parameters
        ----------
        drawn : SpectrumMap
            The map that they are put on.
        near : Nearest
            Of the landmarks, among those of the map that is drawn.
        landmarks : Tensor
            (m, l).
        """
        position, _ = drawn.place(near)
        spacing = nearest(landmarks, landmarks).square[:, 1].contiguous()
        return cls(position=position.clamp(-1.0, 1.0).contiguous(), spacing=spacing)

    def place(self, near: Nearest) -> tuple[Tensor, Tensor]:
        """Place stars among their nearest landmarks.

        Returns
        -------
        position : Tensor
            (n, 2), mean of the neighbours' positions, the nearer the heavier.
        statistics : Tensor
            (n, 2), squared distance to the neighbours over what is usual there, and squared
            distance on the map from the nearest training star.
        """
        weight = 1.0 / near.square
        position = (self.position[near.number] * weight[:, :, None]).sum(dim=1)
        position = position / weight.sum(dim=1, keepdim=True)
        sparse = near.square[:, 1] / self.spacing[near.number[:, 0]]
        closeness = position @ self.position.mT - 0.5 * (self.position**2).sum(dim=1)
        gap = (position**2).sum(dim=1) - 2.0 * closeness.amax(dim=1)
        return position, torch.stack([sparse, gap.clamp_min(0.0) + _LEAST_GAP], dim=1)

    def arrays(self) -> dict[str, Tensor]:
        """Return the arrays by name, to be saved."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Tensor]) -> Self:
        """Build the map from `arrays`."""
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})
