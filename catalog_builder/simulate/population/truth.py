"""What is true of each simulated star: labels, place, population, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.simulate.grid import emulator
from catalog_builder.simulate.population import census, sample, stars
from catalog_builder.simulate.population.galaxy import (
    POPULATIONS,
    extinction,
    galactic,
    galactocentric,
)

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]
Text = NDArray[np.str_]

#: Kinds of stars and spectra that a good catalogue must catch, and how often they are put in. The
#: class ``outside_labels`` is not put in: it is what the population has beyond `LABEL_LIMITS`.
ANOMALIES: Final = {
    "double_lined": 0.007,
    "calcium_emission": 0.006,
    "hot_star": 0.006,
    "wrong_normalisation": 0.006,
    "wrong_frame": 0.006,
    "cosmic_spikes": 0.006,
}
OUTSIDE_LABELS: Final = "outside_labels"
#: Of these nothing shows without an RVS spectrum: only stars that have one keep them.
_IN_RVS_ONLY: Final = tuple(name for name in ANOMALIES if name != "hot_star")
#: No star beyond these gets APOGEE labels: Teff [K], log g, [M/H].
LABEL_LIMITS: Final = {"teff": (3650.0, 7000.0), "logg": (0.4, 4.75), "m_h": (-2.45, 0.5)}
#: Share of stars with each defect of the input.
_RVS_ONLY, _NO_SPECTRUM, _MISSING_BP, _NO_COLOUR = 0.02, 0.015, 0.01, 0.01


#: How a star moves in truth: v_R, v_phi and v_z in the Galaxy, and what of it could be seen.
MOVING: Final = (
    *(f"galactocentric_velocity_{which}" for which in ("radial", "azimuthal", "vertical")),
    *("true_radial_velocity", "true_pmra", "true_pmdec"),
)


@dataclass
class Stars:
    """One row per star; arrays of length n. Labels of hot stars but Teff and log g are NaN.

    Velocities, km/s, and proper motions, mas/yr, are NaN until `motion.set_moving`.
    """

    source_id: NDArray[np.int64]
    ra: Float
    dec: Float
    l: Float  # noqa: E741 - galactic longitude has no other name
    b: Float
    distance: Float  # kpc
    galactocentric_radius: Float  # kpc
    height: Float  # kpc
    a_0: Float  # mag at 550 nm
    population: Text
    mass: Float
    teff: Float
    logg: Float
    m_h: Float
    alpha_m: Float
    fe_h: Float
    vsini: Float  # km/s
    macroturbulence: Float  # km/s
    anomaly: Text
    wart: Text
    galactocentric_velocity_radial: Float
    galactocentric_velocity_azimuthal: Float
    galactocentric_velocity_vertical: Float
    true_radial_velocity: Float
    true_pmra: Float
    true_pmdec: Float

    def __len__(self) -> int:
        """Return the number of stars."""
        return len(self.source_id)

    def rows(self, selected: slice) -> Stars:
        """Return some of the stars."""
        return Stars(**{f.name: getattr(self, f.name)[selected] for f in fields(self)})

    def taken(self, rows: NDArray[np.int64]) -> Stars:
        """Return the stars of some rows, each as often as it is named."""
        return Stars(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def grid_labels(self) -> Float:
        """Labels (n, 4) at which the emulator makes the spectrum.

        The grid has [M/H] and [alpha/M] only. With [M/H] set to [Fe/H] and [alpha/M] raised by
        [M/H] - [Fe/H], iron lines follow [Fe/H] while the lines of alpha elements stay where
        [M/H] + [alpha/M] put them. All other elements move with iron: that is as far as the grid
        allows.
        """
        return np.column_stack(
            [self.teff, self.logg, self.fe_h, self.alpha_m + self.m_h - self.fe_h]
        )


def add_wart(wart: Text, rows: Bool, name: str) -> Text:
    """Append a defect to the rows where it is true; several are joined by ``+``."""
    longer = np.where(wart == "", name, np.char.add(np.char.add(wart, "+"), name))
    return np.where(rows, longer, wart)


def draw_stars(
    rng: np.random.Generator, release: ReleaseSpec, first: int, last: int, n: int
) -> Stars:
    """Draw the stars of one range of pixels, sorted by source_id."""
    return stars_drawn(rng, release, first, last, n)[0]


def stars_drawn(
    rng: np.random.Generator,
    release: ReleaseSpec,
    first: int,
    last: int,
    n: int,
    chosen_by: census.Rule = census.selection,
) -> tuple[Stars, Float]:
    """Draw the stars of one range of pixels, sorted by source_id; and their rough absolute G.

    Stars that the grid of spectra does not reach are replaced; at the sky's edges of the diagram
    that is one in twenty.
    """
    rule = release.partition
    wanted = round(1.3 * n) + 20
    drawn = census.draw(rng, first, last, rule.healpix_level, wanted, chosen_by)
    labels = _labels(rng, drawn)
    # Without the permutation the replacement would thin out the end of the range.
    chosen = np.sort(rng.permutation(np.flatnonzero(_in_grid(labels)))[:n])
    born = Born(
        drawn.pixel[chosen],
        drawn.population[chosen],
        drawn.evolution.mass[chosen],
        drawn.distance[chosen],
        {name: values[chosen] for name, values in labels.items()},
    )
    return _made(rng, release, born), drawn.magnitude[chosen]


@dataclass(frozen=True)
class Born:
    """Stars of a range of pixels before anything is seen of them; n each, by rising pixel.

    Parameters
    ----------
    pixel : numpy.ndarray
        HEALPix pixels of level 12.
    population : numpy.ndarray
        Places among `POPULATIONS`.
    mass, distance : numpy.ndarray
        Solar masses and kpc.
    labels : dict of str to numpy.ndarray
        Teff, log g, [M/H], [alpha/M], [Fe/H].
    """

    pixel: NDArray[np.int64]
    population: NDArray[np.int64]
    mass: Float
    distance: Float
    labels: dict[str, Float]


def stars_sampled(
    rng: np.random.Generator,
    release: ReleaseSpec,
    first: int,
    last: int,
    n: int,
    like: sample.Sample,
) -> tuple[Stars, Float]:
    """Draw stars like those of a sample in a range of pixels; and their rough absolute G.

    Stars that the grid of spectra does not reach are replaced.
    """
    labels = like.labels(rng, 2 * n + 50)
    chosen = np.flatnonzero(_in_grid(labels))[:n]
    labels = {name: values[chosen] for name, values in labels.items()}
    shift = 2 * (12 - release.partition.healpix_level)
    pixel = np.sort(rng.integers(first << shift, (last + 1) << shift, len(chosen)))
    mass = sample.masses(labels["teff"], labels["logg"])
    absolute = stars.rough_absolute_g(labels["teff"], labels["logg"], mass)
    distance = sample.distances(pixel, like.brightness(rng, len(chosen)), absolute)
    population = sample.population_of(labels["m_h"], labels["alpha_m"])
    return _made(rng, release, Born(pixel, population, mass, distance, labels)), absolute


def untie_alpha(rng: np.random.Generator, star: Stars) -> None:
    """Give stars an [alpha/M] that has nothing to do with [M/H], in place."""
    labels = {name: getattr(star, name) for name in ("teff", "logg", "m_h", "alpha_m", "fe_h")}
    labels["alpha_m"] = sample.untied(rng, len(star))
    # Where the grid of spectra does not reach, it stays what it was.
    star.alpha_m = np.where(_in_grid(labels), labels["alpha_m"], star.alpha_m)


def _made(rng: np.random.Generator, release: ReleaseSpec, born: Born) -> Stars:
    """Place stars, and give them what is drawn apart from their labels."""
    rule, pixel, distance, labels = release.partition, born.pixel, born.distance, born.labels
    count = len(pixel)
    source_id = _source_ids(pixel, rule.position_shift)
    ra, dec = _positions(rng, pixel, rule.position_level)
    l, b = galactic(ra, dec)  # noqa: E741 - see Stars
    radius, height = galactocentric(l, b, distance)
    # Dust is clumpy: the smooth model times a log-normal factor, shared by neighbours.
    clump = np.exp(0.35 * _clumps(pixel >> 12) - 0.06)
    hot = np.clip((labels["teff"] - 6100.0) / 700.0, 0.0, 1.0)
    spin = np.exp(rng.normal(np.log(3.0) + 1.6 * hot, 0.45 + 0.2 * hot))
    return Stars(
        source_id=source_id,
        ra=ra,
        dec=dec,
        l=l,
        b=b,
        distance=distance,
        galactocentric_radius=radius,
        height=height,
        a_0=extinction(l, b, distance) * clump,
        population=np.array(POPULATIONS)[born.population],
        mass=born.mass,
        **labels,
        vsini=np.clip(spin, 0.5, 120.0),
        macroturbulence=np.clip(rng.normal(3.5, 1.0, count) + 2.0 * hot, 1.0, 9.0),
        anomaly=_anomalies(rng, labels["teff"], labels["logg"], labels["m_h"]),
        wart=_warts(rng, count),
        **{name: np.full(count, np.nan) for name in MOVING},
    )


def _labels(rng: np.random.Generator, drawn: census.Draw) -> dict[str, Float]:
    sky = galactic(*census.healpix_positions(drawn.pixel, 12))
    radius, height = galactocentric(*sky, drawn.distance)
    m_h = stars.metallicity(rng, drawn.population, radius, height)
    alpha_m = stars.alpha(rng, drawn.population, m_h)
    fe_h = stars.iron(rng, m_h, alpha_m)
    teff, logg = stars.kiel(drawn.evolution, m_h)
    n = len(m_h)
    # Ages, helium and everything else that the tracks leave out.
    teff = teff * np.exp(0.006 * rng.standard_normal(n))
    logg = logg + 0.03 * rng.standard_normal(n)
    return {"teff": teff, "logg": logg, "m_h": m_h, "alpha_m": alpha_m, "fe_h": fe_h}


def _in_grid(labels: dict[str, Float]) -> Bool:
    """Say which stars have a synthetic spectrum; see `Stars.grid_labels`."""
    iron = labels["fe_h"]
    alpha = labels["alpha_m"] + labels["m_h"] - iron
    return emulator.load().trusted(np.column_stack([labels["teff"], labels["logg"], iron, alpha]))


def _source_ids(pixel: NDArray[np.int64], shift: int) -> NDArray[np.int64]:
    """Ids as Gaia builds them: the pixel in the high bits, a running number below; rising."""
    start = np.searchsorted(pixel, pixel)
    running = np.arange(len(pixel)) - start + 1
    return np.asarray((pixel << shift) | (running << 7))


def _positions(
    rng: np.random.Generator, pixel: NDArray[np.int64], level: int
) -> tuple[Float, Float]:
    """Positions inside the pixel of the id, as centres of pixels 256 times finer on a side."""
    inside = (pixel << 16) | rng.integers(0, 1 << 16, len(pixel))
    ra, dec = census.healpix_positions(inside, level + 8)
    # A tenth of a milliarcsecond: what is written is then what the truth holds.
    return np.round(ra, 12), np.round(dec, 12)


def _clumps(pixel: NDArray[np.int64]) -> Float:
    """Return a standard normal number for each pixel, the same in every partition."""
    unique, where = np.unique(pixel, return_inverse=True)
    values = [np.random.default_rng([1906, int(one)]).standard_normal() for one in unique]
    return np.array(values)[where]


def _anomalies(rng: np.random.Generator, teff: Float, logg: Float, m_h: Float) -> Text:
    names = np.array(["", *ANOMALIES])
    shares = np.array(list(ANOMALIES.values()))
    drawn = rng.choice(names, len(teff), p=[1.0 - shares.sum(), *shares])
    return np.where((drawn == "") & _outside_labels(teff, logg, m_h), OUTSIDE_LABELS, drawn)


def _outside_labels(teff: Float, logg: Float, m_h: Float) -> Bool:
    outside = np.zeros(len(teff), dtype=bool)
    for values, (low, high) in zip((teff, logg, m_h), LABEL_LIMITS.values(), strict=True):
        outside |= (values < low) | (values > high)
    return outside


def keep_visible_anomalies(star: Stars, has_rvs: Bool) -> None:
    """Take from stars without an RVS spectrum what only such a spectrum could show, in place."""
    unseen = np.isin(star.anomaly, _IN_RVS_ONLY) & ~has_rvs
    instead = np.where(_outside_labels(star.teff, star.logg, star.m_h), OUTSIDE_LABELS, "")
    star.anomaly = np.where(unseen, instead, star.anomaly)


def _warts(rng: np.random.Generator, n: int) -> Text:
    names = np.array(["", "rvs_only", "no_spectrum", "missing_bp", "no_colour"])
    shares = np.array([_RVS_ONLY, _NO_SPECTRUM, _MISSING_BP, _NO_COLOUR])
    return rng.choice(names, n, p=[1.0 - shares.sum(), *shares]).astype("U96")


def make_hot(rng: np.random.Generator, star: Stars) -> None:
    """Turn the stars marked ``hot_star`` into A and B stars of the same brightness, in place."""
    hot = star.anomaly == "hot_star"
    n = int(np.count_nonzero(hot))
    before = stars.rough_absolute_g(star.teff[hot], star.logg[hot], star.mass[hot])
    star.teff[hot] = np.exp(rng.uniform(np.log(8200.0), np.log(20000.0), n))
    star.logg[hot] = rng.normal(4.0, 0.1, n)
    star.mass[hot] = np.interp(star.teff[hot], [8000.0, 20000.0], [1.9, 6.0])
    after = stars.rough_absolute_g(star.teff[hot], star.logg[hot], star.mass[hot])
    star.distance[hot] = star.distance[hot] * 10.0 ** (0.2 * (before - after))
    star.galactocentric_radius[hot], star.height[hot] = galactocentric(
        star.l[hot], star.b[hot], star.distance[hot]
    )
    star.vsini[hot] = rng.uniform(60.0, 280.0, n)
    for name in ("m_h", "alpha_m", "fe_h"):
        getattr(star, name)[hot] = np.nan
