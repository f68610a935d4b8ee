"""Sources without spectra: who else is in the source table, and with what chance one has spectra.

The sky of the simulation is drawn from those stars of its galaxy that `census.selection` lets pass.
Of the others, up to G = 20, a share is drawn here. A star of the table then has spectra with a
chance that is known exactly: the densities from which the two kinds are drawn, at its place,
distance and luminosity, against each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.simulate.population import census
from catalog_builder.simulate.population.galaxy import POPULATIONS, extinction, galactic
from catalog_builder.simulate.population.truth import Stars, stars_drawn

Float = NDArray[np.float64]

#: What the truth says of how sources got their spectra.
RULE_IN_WORDS: Final = (
    f"Of the galaxy's stars brighter than G = {census.FAINTEST_G}, all up to {census.COMPLETE_G}"
    " and ever fewer of the fainter have spectra (census.selection, by rough magnitude); of the"
    " others,"
    f" up to G = {census.FAINTEST_SOURCE_G}, this share is in the source table. The chance that a"
    " source has spectra follows from both: chance_of_spectra in the files of the truth. Whose RVS"
    " spectrum reaches the least S/N has that, and XP whose G is below 17.65."
)


def plan_bare(
    release: ReleaseSpec, ranges: Iterable[tuple[int, int]], stars: Iterable[int], wanted: int
) -> tuple[float, list[int]]:
    """Say how many sources without spectra each range has.

    Parameters
    ----------
    release : ReleaseSpec
        Whose pixels the ranges are of.
    ranges : iterable of (int, int)
        First and last pixel of each partition.
    stars : iterable of int
        Stars with spectra in each.
    wanted : int
        Sources without them in all.

    Returns
    -------
    share : float
        How many there are of those that the galaxy has, in units of the stars with spectra.
    counts : list of int
        In each range.
    """
    level = release.partition.healpix_level
    rules = census.selection, census.without_spectra
    whole = [
        n * _total(*one, level, rules[1]) / _total(*one, level, rules[0])
        for one, n in zip(ranges, stars, strict=True)
    ]
    share = wanted / sum(whole)
    return share, [round(share * count) for count in whole]


def _total(first: int, last: int, level: int, rule: census.Rule) -> float:
    return float(census.expected(first, last, level, rule)[2].sum())


def draw_bare(
    rng: np.random.Generator, release: ReleaseSpec, first: int, last: int, n: int
) -> tuple[Stars, Float]:
    """Draw sources without spectra, sorted by id; and their rough absolute G."""
    star, magnitude = stars_drawn(rng, release, first, last, n, census.without_spectra)
    # Another half of each pixel's ids: none is that of a star with spectra.
    star.source_id = star.source_id | (1 << (release.partition.position_shift - 1))
    star.anomaly[:] = ""
    star.wart = np.where(star.wart == "no_colour", star.wart, "")
    return star, magnitude


def chance_of_spectra(star: Stars, magnitude: Float, release: ReleaseSpec, share: float) -> Float:
    """Return with what chance a source like each of these is one with spectra, (n,).

    Parameters
    ----------
    star : Stars
        With or without spectra, as drawn.
    magnitude : ndarray of shape (n,)
        Rough absolute G.
    release : ReleaseSpec
        Tells the place of an id.
    share : float
        Of `plan_bare`.
    """
    pixel = star.source_id >> release.partition.position_shift
    population = _numbers(star.population)
    sky = galactic(*census.healpix_positions(pixel, release.partition.position_level))
    modulus = _modulus(sky, star.distance)
    edges = census.DISTANCE_EDGES
    bin_ = np.searchsorted(edges, star.distance, side="right").clip(1, len(edges) - 1) - 1
    middle = np.sqrt(edges[:-1] * edges[1:])[bin_]
    coarse = pixel >> 2 * (release.partition.position_level - census.LEVEL)
    there = _modulus(galactic(*census.healpix_positions(coarse, census.LEVEL)), middle)
    densities = []
    for rule in (census.selection, census.without_spectra):
        density = rule(modulus + magnitude)
        for k, luminosity in enumerate(census.census(rule).luminosity):
            mine = population == k
            here = rule(modulus[mine, None] + census.MAGNITUDES) @ luminosity
            # Stars of a cell are as many as its middle has, wherever in it they are.
            many = census.visible(luminosity, there[mine], rule)
            with np.errstate(divide="ignore", invalid="ignore"):
                density[mine] = np.where(here > 0, density[mine] * many / here, 0.0)
        densities.append(density)
    with_spectra, without = densities[0], share * densities[1]
    total = with_spectra + without
    return np.divide(with_spectra, total, out=np.zeros_like(total), where=total > 0)


def _numbers(names: NDArray[np.str_]) -> NDArray[np.int64]:
    return np.asarray(np.argmax(names[:, None] == np.array(POPULATIONS), axis=1))


def _modulus(sky: tuple[Float, Float], distance: Float) -> Float:
    dust = census.A_G * extinction(*sky, distance)
    return np.asarray(5.0 * np.log10(100.0 * distance) + dust)
