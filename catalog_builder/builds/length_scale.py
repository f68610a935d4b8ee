"""Make ``length_scale.npz``: the length scales of the prior of distances, by direction.

``python -m catalog_builder.builds.length_scale catalog_builder/galaxy/length_scale.npz``

The Galaxy behind it is smooth, and not that of the simulator:

- densities of Juric et al. 2008 (ApJ 673, 864, table 10, corrected values): a thin and a thick
  disc, exponential in radius and height, and an oblate power-law halo;
- the luminosity function of the solar neighbourhood of Allen 1973 (Astrophysical Quantities,
  3rd edition, section 118), the same everywhere, its visual magnitudes taken for G;
- dust in a disc, scale height 0.1 kpc, scale length 3.5 kpc, 0.7 mag/kpc of A_G at the Sun.

Stars to G = 20 are counted along each line of sight. Two exponentially decreasing densities
(Bailer-Jones 2015, PASP 127, 994) get the length scales and the shares with which they are most
like that count (maximum likelihood). One alone cannot be: away from the plane it falls where the
halo begins, and of the model's own stars with 1 to 2 in parallax over error its interval held 56 %.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.galaxy.distance import LOWER, MEDIAN_IN_SCALES
from catalog_builder.ground.errors import ConfigError

Float = NDArray[np.float64]

#: Faintest magnitude of the stars that are counted.
FAINTEST: Final = 20.0
#: Stars per pc^3 and magnitude, decadic logarithm, for M = -6 to 16.
_LUMINOSITY: Final = (
    -7.90, -7.20, -6.54, -5.90, -5.28, -4.60, -3.95, -3.46, -3.20, -2.94, -2.72, -2.47,
    -2.37, -2.45, -2.38, -2.27, -2.11, -2.01, -1.97, -1.93, -1.89, -1.90, -1.92,
)  # fmt: skip
_BRIGHTEST: Final = -6.0
#: Sun to centre and above the plane, kpc, as Juric et al. have it.
_RADIUS, _HEIGHT = 8.0, 0.025
#: Degrees; the model is the same on both sides of l = 0.
LONGITUDES: Final = np.arange(0.0, 181.0, 5.0)
_NORTH: Final = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.5, 8.0, 10.0, 12.5, 15.0, 20.0, 25.0, 30.0, 35.0,
                 40.0, 50.0, 60.0, 75.0, 90.0)  # fmt: skip
LATITUDES: Final = np.array([-b for b in reversed(_NORTH[1:])] + list(_NORTH))
_DISTANCES: Final = np.geomspace(0.005, 60.0, 400)
#: Of the maximisation (expectation and maximisation in turns): more change nothing that is kept.
_ROUNDS: Final = 400


def density(radius: Float, height: Float) -> Float:
    """Return stars relative to the thin disc at the Sun's radius, at R and z in kpc."""
    thin = np.exp(-(radius - _RADIUS) / 2.6 - np.abs(height) / 0.3)
    thick = 0.12 * np.exp(-(radius - _RADIUS) / 3.6 - np.abs(height) / 0.9)
    # The core keeps the halo finite in the centre.
    from_centre = np.sqrt(radius**2 + (height / 0.64) ** 2 + 0.5**2)
    return np.asarray(thin + thick + 0.0051 * (from_centre / _RADIUS) ** -2.77)


def places(l: Float, b: Float, distance: Float) -> tuple[Float, Float]:  # noqa: E741
    """Return R and z, kpc, of directions in radians."""
    in_plane = distance * np.cos(b)
    radius = np.hypot(_RADIUS - in_plane * np.cos(l), in_plane * np.sin(l))
    return radius, distance * np.sin(b) + _HEIGHT


def dimming(l: Float, b: Float, distance: Float) -> Float:  # noqa: E741
    """Return A_G of each direction (n,) at each distance (m,), of shape (n, m)."""
    nodes, weights = np.polynomial.legendre.leggauss(32)
    part = ((nodes + 1.0) / 2.0) ** 2  # most dust lies near
    slope = weights * np.sqrt(part)
    radius, height = places(l[:, None, None], b[:, None, None], distance[:, None] * part)
    dust = np.minimum(np.exp(-(radius - _RADIUS) / 3.5 - np.abs(height) / 0.1), 4.0)
    return np.asarray(0.7 * distance * (dust * slope).sum(axis=-1))


def brighter_than(magnitude: Float) -> Float:
    """Return the number of stars per pc^3 brighter than an absolute magnitude."""
    edges = _BRIGHTEST + np.arange(0.0, len(_LUMINOSITY) - 1 + 0.05, 0.1)
    at = np.interp(edges, _BRIGHTEST + np.arange(len(_LUMINOSITY)), _LUMINOSITY)
    counts = np.concatenate([[0.0], np.cumsum(0.1 * 10.0**at)])
    return np.asarray(np.interp(magnitude, np.append(edges, edges[-1] + 0.1), counts))


def counts_along(l: Float, b: Float) -> Float:  # noqa: E741
    """Return the share of stars at each of `_DISTANCES`, of directions (n,) in degrees."""
    lon, lat = np.deg2rad(l), np.deg2rad(b)
    radius, height = places(lon[:, None], lat[:, None], _DISTANCES)
    faintest = FAINTEST - 5.0 * np.log10(100.0 * _DISTANCES) - dimming(lon, lat, _DISTANCES)
    # Per interval of ln r the volume is r^3.
    counts = _DISTANCES**3 * density(radius, height) * brighter_than(faintest)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def priors(l: Float, b: Float) -> Float:  # noqa: E741
    """Return the prior of each direction (n,) in degrees, (n, 4): see `distance.prior_towards`."""
    counts = counts_along(l, b)
    typical = np.array([np.interp(0.5, share, _DISTANCES) for share in np.cumsum(counts, axis=1)])
    near, far = np.multiply.outer([0.5, 2.0], typical / MEDIAN_IN_SCALES)
    share = np.full(len(near), 0.5)
    for _ in range(_ROUNDS):
        of_far = share[:, None] * _falling(far)
        part = counts * of_far / (of_far + (1.0 - share)[:, None] * _falling(near))
        rest = counts - part
        share = part.sum(axis=1)
        near = (rest * _DISTANCES).sum(axis=1) / (3.0 * rest.sum(axis=1))
        far = (part * _DISTANCES).sum(axis=1) / (3.0 * share)
    both = (1.0 - share)[:, None] * _falling(near) + share[:, None] * _falling(far)
    below = np.cumsum(_DISTANCES**3 * both, axis=1)
    ends = [
        [np.interp(level, one / one[-1], _DISTANCES) for level in (LOWER, 1.0 - LOWER)]
        for one in below
    ]
    lower, upper = np.array(ends).T
    return np.stack([near, np.maximum(near, far), share, upper - lower], axis=1)


def _falling(scale: Float) -> Float:
    return np.asarray(np.exp(-_DISTANCES / scale[:, None]) / scale[:, None] ** 3)


def main(arguments: list[str]) -> int:
    """Write the file named by the only argument; return the exit code."""
    if len(arguments) != 1:
        print("usage: python -m catalog_builder.builds.length_scale OUT", file=sys.stderr)
        return ConfigError.exit_code
    l, b = (grid.ravel() for grid in np.meshgrid(LONGITUDES, LATITUDES, indexing="ij"))  # noqa: E741
    table = priors(l, b).reshape(len(LONGITUDES), len(LATITUDES), 4).astype(np.float32)
    np.savez(Path(arguments[0]), longitude=LONGITUDES, latitude=LATITUDES, prior=table)
    near, far, share, _ = np.moveaxis(table, -1, 0)
    print(
        f"{arguments[0]}: {near.min():.2f} to {near.max():.2f} kpc, {far.min():.2f} to"
        f" {far.max():.2f} kpc with shares of {share.min():.2f} to {share.max():.2f}"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
