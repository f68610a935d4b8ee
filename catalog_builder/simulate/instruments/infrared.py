"""Magnitudes in bands that the synthetic spectra do not reach, by an empirical relation.

The relation was fitted to real stars by `catalog_builder.builds.infrared`; its file says
which, and how well.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import yaml
from numpy.typing import NDArray

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.contract.description import Description
from catalog_builder.ground.errors import ConfigError

Float = NDArray[np.float64]

RELATION_FILE: Final = Path(__file__).with_name("infrared.yaml")
#: Share of the stars that the other survey has found.
_SHARE: Final = 0.95


class _Band(Description):
    names: tuple[str, ...]
    coefficients: tuple[float, ...]
    scatter: float
    factor: tuple[float, ...]


class Relation(Description):
    """The content of ``infrared.yaml``."""

    source: str
    stars: int
    of: int
    limits: dict[str, tuple[float, float]]
    dimming: dict[str, float]
    bands: dict[str, _Band]

    def band(self, *names: str) -> str | None:
        """Return the band that one of these is a name of, or None."""
        for name in names:
            for band, about in self.bands.items():
                if name == band or name in about.names:
                    return band
        return None


@functools.cache
def load(path: Path = RELATION_FILE) -> Relation:
    """Load the relation shipped with the program, once per process."""
    return Relation.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def shape_of(
    colour: Float, logg: Float, m_h: Float, limits: Mapping[str, tuple[float, float]]
) -> Float:
    """Return the terms of the relation.

    Parameters
    ----------
    colour, logg, m_h : ndarray of float64, shape (n,)
        BP - RP without dust, log g, [M/H]; all are held within the limits. A missing [M/H] is that
        of the Sun.
    limits : mapping of str to (float, float)
        Of the three, by these names.

    Returns
    -------
    ndarray of float64, shape (n, 8)
    """
    x = np.clip(colour, *limits["colour"])
    g = np.clip(logg, *limits["logg"]) - 3.0
    m = np.clip(np.nan_to_num(m_h), *limits["m_h"])
    return np.column_stack([np.ones_like(x), x, x**2, x**3, g, g * x, m, m * x])


def magnitudes(
    rng: np.random.Generator, exact: Float, a_0: Float, logg: Float, m_h: Float
) -> dict[str, Float]:
    """Return the magnitudes of stars in every band of the relation, scatter included.

    Parameters
    ----------
    rng : numpy.random.Generator
        For the scatter.
    exact : ndarray of float64, shape (n, 3)
        G, BP, RP without noise.
    a_0, logg, m_h : ndarray of float64, shape (n,)
        Extinction at 550 nm [mag] and labels.
    """
    relation = load()
    g, bp, rp = (
        exact[:, k] - relation.dimming[band] * a_0 for k, band in enumerate(("g", "bp", "rp"))
    )
    terms = shape_of(bp - rp, logg, m_h, relation.limits)
    drawn = rng.standard_normal((len(g), len(relation.bands)))
    return {
        name: g
        - terms @ np.array(band.coefficients)
        - drawn @ np.array(band.factor)
        + relation.dimming[name] * a_0
        for name, band in relation.bands.items()
    }


def found(rng: np.random.Generator, n: int) -> NDArray[np.bool_]:
    """Draw which of n stars the other survey has."""
    return rng.random(n) < _SHARE


def bands_of(release: ReleaseSpec, known: frozenset[str]) -> dict[str, str]:
    """Return column -> band of the relation for all magnitudes that Gaia does not measure.

    Parameters
    ----------
    release : ReleaseSpec
        Its `photometry` is looked through.
    known : frozenset of str
        Columns that are simulated otherwise.

    Raises
    ------
    ConfigError
        If there is no relation for a band; the message names it.
    """
    wanted: dict[str, str] = {}
    for group, bands in release.photometry.items():
        for name, band in bands.bands.items():
            if band.column in known:
                continue
            match = load().band(band.column, name, band.title.lower())
            if match is None:
                raise ConfigError(
                    f"photometry.{group} has the band {name} in the column {band.column}, which"
                    f" cannot be simulated: there are relations for {', '.join(load().bands)}.",
                    "Name the band so, or leave its group out of a copy of the description.",
                )
            wanted[band.column] = match
    return wanted
