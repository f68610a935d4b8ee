"""How well intervals of velocities hold, on stars of another Galaxy to G = 20."""

from types import SimpleNamespace

import numpy as np

from catalog_builder.galaxy import distance as dist
from catalog_builder.galaxy.columns import galactic_columns
from catalog_builder.galaxy.frames import TO_GALACTIC, galactocentric
from catalog_builder.galaxy.motions import VELOCITIES
from catalog_builder.galaxy.settings import GalaxySettings
from catalog_builder.simulate.instruments import motion
from catalog_builder.simulate.population import galaxy
from catalog_builder.simulate.population.motion import set_moving
from catalog_builder.simulate.population.streams import streams
from tests.unit.galaxy.test_distance import stars_of_another_galaxy

SUN = GalaxySettings(sun_radius=galaxy.R_SUN, sun_height=galaxy.Z_SUN)
BINS = ((1, 2), (2, 3), (3, 5), (5, 8), (8, 20), (20, 1e9))


class Stars(SimpleNamespace):
    """What moving and measuring ask of stars."""

    def __len__(self):
        return len(self.ra)


def moving_stars(rng, n):
    """Return stars with their velocities, and what is measured of them, all with a velocity."""
    to, distance, magnitude = stars_of_another_galaxy(rng, n)
    ra = np.rad2deg(np.arctan2(*(TO_GALACTIC.T @ np.stack(to))[[1, 0]])) % 360.0
    dec = np.rad2deg(np.arcsin((TO_GALACTIC.T @ np.stack(to))[2]))
    shares = galaxy.densities(*galaxy.galactocentric(to.longitude, to.latitude, distance))
    drawn = rng.random(n) * shares.sum(axis=0)
    population = np.array(galaxy.POPULATIONS)[(np.cumsum(shares, axis=0) < drawn).sum(axis=0)]
    star = Stars(ra=ra, dec=dec, distance=distance, population=population, teff=np.full(n, 5000.0))
    set_moving(rng, star)
    # Standard errors of DR3 by G, as for the distances.
    error = 10 ** np.interp(
        magnitude, [13, 15, 17, 18, 20, 21], np.log10([0.02, 0.03, 0.07, 0.12, 0.5, 1.3])
    )
    sky = SimpleNamespace(
        parallax=1 / distance + error * rng.standard_normal(n), parallax_error=error, offset=0.0
    )
    seen = motion.measure(streams(8, 0, 0), star, sky, np.minimum(magnitude - 0.8, 13.99))
    block = {"ra": ra, "dec": dec, "parallax_corrected": sky.parallax, "parallax_error": error}
    return star, to, block | vars(seen)


def inside(star, to, found):
    """Say by quantity which true values are in their intervals."""
    x, y, _ = galactocentric(to, star.distance, galaxy.R_SUN, galaxy.Z_SUN)
    truth = {name: getattr(star, name) for name in VELOCITIES[:3]}
    truth[VELOCITIES[3]] = np.hypot(x, y) * star.galactocentric_velocity_azimuthal
    return {
        name: (found[f"{name}_lower"] < truth[name]) & (truth[name] < found[f"{name}_upper"])
        for name in VELOCITIES
    }


def test_the_interval_holds_68_percent_in_every_bin_of_parallax_over_error(monkeypatch):
    monkeypatch.setattr(dist, "WIDEST", 99.0)  # those of no use count as well
    star, to, block = moving_stars(np.random.default_rng(8), 20_000)
    held = inside(star, to, galactic_columns(block, SUN))
    quality = block["parallax_corrected"] / block["parallax_error"]
    for low, high in BINS:
        stars = (quality >= low) & (quality < high)
        assert stars.sum() >= 500
        for name in VELOCITIES:
            share = held[name][stars].mean()
            assert abs(share - 0.683) < 0.045, (low, name, share)
