"""Radial-basis interpolation of spectra over stellar labels, through principal components.

A spectrum is ``mean + weights(labels) @ components``; each weight is a polyharmonic spline (cubic
or quintic) with a polynomial tail in linearly transformed labels. The transform is a matrix found
once by leave-one-out error and kept with the grids' own script, so that the fit itself is one
linear solve.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Kernel = Literal["cubic", "quintic"]


@dataclass(frozen=True)
class Metric:
    """How labels become coordinates in which a spectrum varies equally fast in all directions.

    Parameters
    ----------
    kernel : {"cubic", "quintic"}
        r^3 with a linear tail, or r^5 with a quadratic tail.
    cool_stretch, cool_onset, cool_width : float
        Extra slope of the coordinate beyond an onset in 5040 K / Teff, where molecules appear, and
        the width over which it sets in.
    metallicity_scale : float
        Coordinate exp(a [M/H]) / a: lines grow with abundance, not with its logarithm.
    matrix : tuple of float
        Lower triangle, row by row, of the 5 x 5 mixing matrix; the diagonal holds logarithms.
    ridge : float
        Logarithm of the regularisation added to the kernel matrix.
    """

    kernel: Kernel
    cool_stretch: float
    cool_onset: float
    cool_width: float
    metallicity_scale: float
    ridge: float
    matrix: tuple[float, ...]

    def coordinates(self, labels: Float) -> Float:
        """Return coordinates (n, 5) of labels (n, 5): Teff, log g, [M/H], [alpha/M], microturb."""
        theta = 5040.0 / labels[:, 0]
        beyond = np.log1p(np.exp((theta - self.cool_onset) / self.cool_width))
        theta = theta + self.cool_stretch * self.cool_width * beyond
        a = self.metallicity_scale
        unit = np.column_stack(
            [
                (theta - 1.0) / 0.2,
                (labels[:, 1] - 3.0) / 1.3,
                np.exp(a * labels[:, 2]) / a / 0.75,
                (labels[:, 3] - 0.15) / 0.15,
                (labels[:, 4] - 1.4) / 0.5,
            ]
        )
        mixing = np.zeros((5, 5))
        mixing[np.tril_indices(5)] = self.matrix
        np.fill_diagonal(mixing, np.exp(np.diag(mixing)))
        return unit @ mixing

    def tail(self, coordinates: Float) -> Float:
        """Polynomial terms (n, 6 or 21) of coordinates (n, 5)."""
        terms = [np.ones(len(coordinates)), *coordinates.T]
        if self.kernel == "quintic":
            terms += [coordinates[:, i] * coordinates[:, j] for i in range(5) for j in range(i, 5)]
        return np.column_stack(terms)

    def kernel_matrix(self, left: Float, right: Float) -> Float:
        """Kernel values (n, m) between two sets of coordinates."""
        squared = np.sum(left**2, axis=1)[:, None] + np.sum(right**2, axis=1) - 2 * left @ right.T
        np.maximum(squared, 0.0, out=squared)
        distance = np.sqrt(squared)
        if self.kernel == "cubic":
            return np.asarray(squared * distance)
        # The sign makes the matrix conditionally positive definite.
        return np.asarray(-(squared**2) * distance)


_ARRAYS: Final = ("centres", "weights", "mean", "components")


@dataclass(frozen=True)
class Interpolant:
    """A fitted map from labels to spectra.

    Parameters
    ----------
    metric : Metric
        The coordinates.
    centres : numpy.ndarray
        (m, 5) coordinates of the grid spectra.
    weights : numpy.ndarray
        (m + tail terms, k) solution of the linear system.
    mean : numpy.ndarray
        (w,) mean spectrum.
    components : numpy.ndarray
        (k, w) principal components.
    """

    metric: Metric
    centres: Float
    weights: Float
    mean: NDArray[np.float32]
    components: NDArray[np.float32]

    def __call__(self, labels: Float) -> NDArray[np.float32]:
        """Return spectra (n, w) float32 at labels (n, 5)."""
        at = self.metric.coordinates(labels)
        design = np.hstack([self.metric.kernel_matrix(at, self.centres), self.metric.tail(at)])
        # Kernel sums cancel to many digits and need float64; components do not.
        scores = (design @ self.weights).astype(np.float32)
        return np.asarray(self.mean + scores @ self.components)

    def arrays(self, prefix: str = "") -> dict[str, NDArray[np.generic]]:
        """Return it, but for its metric, as arrays by name, to be written."""
        return {f"{prefix}{name}": getattr(self, name) for name in _ARRAYS}

    @classmethod
    def of(
        cls,
        metric: Mapping[str, Any],
        arrays: Mapping[str, NDArray[Any]],
        prefix: str = "",
    ) -> Interpolant:
        """Return what `arrays` was made of, with the metric's fields as JSON has them."""
        known = Metric(**{**metric, "matrix": tuple(metric["matrix"])})
        return cls(known, *(arrays[f"{prefix}{name}"] for name in _ARRAYS))


def _system(metric: Metric, centres: Float) -> Float:
    tail = metric.tail(centres)
    n = len(centres)
    size = n + tail.shape[1]
    matrix = np.zeros((size, size))
    sign = 1.0 if metric.kernel == "cubic" else -1.0
    matrix[:n, :n] = metric.kernel_matrix(centres, centres)
    matrix[:n, :n] += sign * np.exp(metric.ridge) * np.eye(n)
    matrix[:n, n:] = tail
    matrix[n:, :n] = tail.T
    return matrix


def fit(metric: Metric, labels: Float, spectra: Float, n_components: int) -> Interpolant:
    """Fit an interpolant to spectra (n, w) with labels (n, 5)."""
    mean = spectra.mean(axis=0)
    left, singular, components = np.linalg.svd(spectra - mean, full_matrices=False)
    k = min(n_components, len(singular))
    centres = metric.coordinates(labels)
    matrix = _system(metric, centres)
    right = np.zeros((len(matrix), k))
    right[: len(centres)] = left[:, :k] * singular[:k]
    return Interpolant(
        metric=metric,
        centres=centres,
        weights=np.asarray(np.linalg.solve(matrix, right), dtype=np.float64),
        mean=mean.astype(np.float32),
        components=components[:k].astype(np.float32),
    )


def held_out_rms(
    metric: Metric, labels: Float, spectra: Float, n_components: int, folds: int = 10
) -> Float:
    """Root mean square residual (n,) of each spectrum, predicted by a fit that never saw it."""
    fold = np.random.default_rng(0).permutation(len(labels)) % folds
    rms = np.empty(len(labels))
    for k in range(folds):
        out = fold == k
        model = fit(metric, labels[~out], spectra[~out], n_components)
        rms[out] = np.sqrt(np.mean((model(labels[out]) - spectra[out]) ** 2, axis=1))
    return rms
