"""How many stars of which kind are seen in which direction: the table all draws are made from.

The sky is cut into the pixels of HEALPix level 4; in each, for each population and distance bin,
the number of stars brighter than the selection follows from density, luminosity function and dust.
Partitions are ranges of pixels that hold equally many stars, as Gaia's are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from catalog_builder.simulate.population import stars
from catalog_builder.simulate.population.galaxy import (
    POPULATIONS,
    densities,
    extinction,
    galactic,
    galactocentric,
)
from catalog_builder.simulate.population.stars import Evolution

Float = NDArray[np.float64]
Int = NDArray[np.int64]

LEVEL = 4
DISTANCE_EDGES = np.geomspace(0.04, 20.0, 49)  # kpc
_MAG_EDGES = np.arange(-4.5, 9.51, 0.25)
MAGNITUDES = 0.5 * (_MAG_EDGES[:-1] + _MAG_EDGES[1:])
#: A_G / A0 of a star like the Sun, for counting only.
A_G = 0.85
#: Apparent G: all stars up to the first, ever fewer down to the second.
COMPLETE_G, FAINTEST_G = 12.6, 16.5
_FAINT_SLOPE = 0.85
#: Apparent G up to which there are sources without spectra.
FAINTEST_SOURCE_G = 20.0
_LIBRARY_SEED, _LIBRARY_SIZE = 20220613, 200_000


def healpix_positions(pixel: Int, level: int) -> tuple[Float, Float]:
    """ICRS positions [deg] of the centres of nested pixels."""
    from astropy_healpix import healpix_to_lonlat

    lon, lat = healpix_to_lonlat(pixel, 1 << level, order="nested")
    return np.asarray(lon.deg), np.asarray(lat.deg)


def selection(g: Float) -> Float:
    """Probability that a star of apparent magnitude G is in the simulated archive."""
    faint = 10.0 ** (-_FAINT_SLOPE * np.maximum(g - COMPLETE_G, 0.0))
    return np.asarray(np.where((g > 5.0) & (g < FAINTEST_G), faint, 0.0))


def without_spectra(g: Float) -> Float:
    """Probability that a star of magnitude G is too faint for a spectrum, but is a source."""
    return np.asarray(np.where((g > 5.0) & (g < FAINTEST_SOURCE_G), 1.0 - selection(g), 0.0))


#: A probability by apparent magnitude.
Rule = Callable[[Float], Float]


@dataclass(frozen=True)
class Census:
    """Expected numbers, up to one factor.

    Parameters
    ----------
    counts : numpy.ndarray
        (3072, 3, d) stars per pixel, population and distance bin.
    library : tuple of Evolution
        Per population, stars to draw from.
    by_magnitude : tuple of (order, starts)
        Per population, library stars sorted by absolute magnitude and where each bin begins.
    luminosity : numpy.ndarray
        (3, m) luminosity function.
    """

    counts: Float
    library: tuple[Evolution, ...]
    by_magnitude: tuple[tuple[Int, Int], ...]
    luminosity: Float


def visible(luminosity: Float, modulus: Float, rule: Rule) -> Float:
    """Share of a population's stars selected at a distance modulus (dust included)."""
    grid = np.arange(0.0, 40.0, 0.05)
    seen = rule(grid[:, None] + MAGNITUDES) @ luminosity
    return np.interp(modulus, grid, seen)


def census(rule: Rule = selection) -> Census:
    """Build the table, once per process; it depends on no seed of the user's."""
    return _census(rule)


@functools.cache
def _census(rule: Rule) -> Census:
    rng = np.random.default_rng(_LIBRARY_SEED)
    library, sorted_library, functions = [], [], []
    for population in range(len(POPULATIONS)):
        evolution = stars.draw_evolution(rng, population, _LIBRARY_SIZE)
        m_h = np.full(len(evolution.mass), (-0.05, -0.35, -1.4)[population])
        magnitude = stars.rough_absolute_g(*stars.kiel(evolution, m_h), evolution.mass)
        counted, _ = np.histogram(magnitude, _MAG_EDGES)
        order = np.argsort(magnitude, kind="stable")
        starts = np.searchsorted(magnitude[order], _MAG_EDGES)
        library.append(evolution)
        sorted_library.append((order, starts))
        functions.append(counted / len(magnitude))
    luminosity = np.array(functions)

    n_pixels = 12 << (2 * LEVEL)
    sky = galactic(*healpix_positions(np.arange(n_pixels), LEVEL))
    distance = np.sqrt(DISTANCE_EDGES[:-1] * DISTANCE_EDGES[1:])
    counts = np.empty((n_pixels, len(POPULATIONS), len(distance)))
    for k, d in enumerate(distance):
        here = np.full(n_pixels, d)
        modulus = 5.0 * np.log10(100.0 * d) + A_G * extinction(*sky, here)
        density = densities(*galactocentric(*sky, here))
        for population in range(len(POPULATIONS)):
            seen = visible(luminosity[population], modulus, rule)
            counts[:, population, k] = density[population] * d**3 * seen
    return Census(counts, tuple(library), tuple(sorted_library), luminosity)


def partition_ranges(n_partitions: int, level: int) -> list[tuple[int, int]]:
    """Cut the sky into inclusive ranges of pixels at `level` with equal expected numbers."""
    per_pixel = census().counts.sum(axis=(1, 2))
    cumulative = np.concatenate([[0.0], np.cumsum(per_pixel)]) / per_pixel.sum()
    fine = 1 << (2 * (level - LEVEL))
    inner = np.linspace(0.0, 1.0, n_partitions + 1)[1:-1]
    cuts = np.interp(inner, cumulative, np.arange(len(cumulative)) * fine).astype(int)
    edges = [0, *sorted({int(cut) for cut in cuts if cut > 0}), len(per_pixel) * fine]
    return [(first, last - 1) for first, last in pairwise(edges)]


@dataclass(frozen=True)
class Draw:
    """Stars of one partition before they are observed; arrays of length n, sorted by pixel.

    `magnitude` is the middle of the bin of absolute G from which each was taken.
    """

    pixel: Int
    population: NDArray[np.int_]
    distance: Float
    evolution: Evolution
    magnitude: Float


def expected(first: int, last: int, level: int, rule: Rule = selection) -> tuple[Int, Int, Float]:
    """Return where the pixels of the census begin and end in a range, and its counts in each."""
    shift = 2 * (level - LEVEL)
    coarse = np.arange(first >> shift, (last >> shift) + 1)
    begin = np.maximum(coarse << shift, first)
    end = np.minimum((coarse + 1) << shift, last + 1)
    share = (end - begin) / (1 << shift)
    return begin, end, census(rule).counts[coarse] * share[:, None, None]


def draw(
    rng: np.random.Generator, first: int, last: int, level: int, n: int, rule: Rule = selection
) -> Draw:
    """Draw `n` stars in the inclusive pixel range at `level`; pixels come at level 12."""
    table = census(rule)
    begin, end, weight = expected(first, last, level, rule)
    flat = np.cumsum(weight.ravel())
    cell = np.searchsorted(flat, rng.random(n) * flat[-1], side="right")
    which, population, bin_ = np.unravel_index(cell, weight.shape)

    to_12 = 2 * (12 - level)
    low, high = begin[which] << to_12, end[which] << to_12
    pixel = low + (rng.random(n) * (high - low)).astype(np.int64)
    order = np.argsort(pixel, kind="stable")
    pixel, population, bin_ = pixel[order], population[order], bin_[order]
    log_edges = np.log(DISTANCE_EDGES)
    distance = np.exp(log_edges[bin_] + rng.random(n) * np.diff(log_edges)[bin_])

    sky = galactic(*healpix_positions(pixel, 12))
    modulus = 5.0 * np.log10(100.0 * distance) + A_G * extinction(*sky, distance)
    chosen, magnitude = _choose_library_stars(rng, table, population, modulus, rule)
    return Draw(pixel, population, distance, _pick(table.library, population, chosen), magnitude)


def _pick(library: tuple[Evolution, ...], population: NDArray[np.int_], chosen: Int) -> Evolution:
    columns = {}
    for name in ("mass", "phase", "chance"):
        values = np.empty(len(chosen))
        for k, stars_ in enumerate(library):
            mine = population == k
            values[mine] = getattr(stars_, name)[chosen[mine]]
        columns[name] = values
    return Evolution(**columns)


def _choose_library_stars(
    rng: np.random.Generator,
    table: Census,
    population: NDArray[np.int_],
    modulus: Float,
    rule: Rule,
) -> tuple[Int, Float]:
    """Index into each star's population library, by the luminosity function it is seen through."""
    weight = table.luminosity[population] * rule(modulus[:, None] + MAGNITUDES)
    # Behind more dust than its cell of the table a star may be beyond the limit: the brightest.
    weight[:, 0] += 1e-300
    cumulative = np.cumsum(weight, axis=1)
    threshold = rng.random(len(modulus)) * cumulative[:, -1]
    bin_ = np.sum(cumulative <= threshold[:, None], axis=1)
    chosen = np.empty(len(modulus), dtype=np.int64)
    uniform = rng.random(len(modulus))
    for k, (order, starts) in enumerate(table.by_magnitude):
        mine = population == k
        size = np.maximum(starts[bin_[mine] + 1] - starts[bin_[mine]], 1)
        at = starts[bin_[mine]] + (uniform[mine] * size).astype(np.int64)
        chosen[mine] = order[np.minimum(at, len(order) - 1)]
    return chosen, MAGNITUDES[bin_]
