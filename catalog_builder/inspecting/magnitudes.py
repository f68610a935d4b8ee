"""Whether magnitudes are of the bands that a release says: what stars can be, whatever they are.

Where a band lies is told by its UCD. Three things hold for stars of any kind: none is bluer than a
body of infinite temperature; cool and reddened ones are red in every pair of bands that lie far
apart, and in the effective wavenumber of the astrometry; and a band over the whole of the visible
is between its blue and its red parts. Bands that stand in each other's place break one of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.tables import TableName
from catalog_builder.contract.inputs import Band
from catalog_builder.inspecting.columns import LEAST_STARS
from catalog_builder.inspecting.finding import Looked
from catalog_builder.inspecting.spectra import rank_correlation
from catalog_builder.inspecting.view import Ids, View

Float = NDArray[np.float64]

#: Middles of bands, micrometres, by the words of the IVOA's UCDs. Not those where the Balmer jump
#: or molecules rule, and a colour may run either way.
_MICROMETRES: Final = {
    "em.opt.b": 0.45,
    "em.opt.v": 0.55,
    "em.opt.r": 0.675,
    "em.opt.i": 0.875,
    "em.ir.j": 1.25,
    "em.ir.h": 1.65,
    "em.ir.k": 2.2,
}
_WHOLE: Final = "em.opt"
#: Share of stars bluer than any body from which it is no chance, and no bad photometry.
_TOO_BLUE: Final = 0.1
#: Bands that are farther apart, as a ratio of wavelengths, have colours that run together; and the
#: correlation below which two do not.
_FAR, _AGAINST = 1.4, -0.5
#: How far the whole may be outside of its parts, mag, by the median of the stars; and what these
#: must have, for the whole to be between them: red stars are brighter in it than in B and V.
_OUTSIDE: Final = 0.1
_BLUE_PARTS: Final = {"em.opt.b", "em.opt.v"}
_RED_PARTS: Final = {"em.opt.r", "em.opt.i"}
#: No star has such a colour, mag: one of both is a number for none, such as 99.999.
_NO_COLOUR: Final = 20.0
#: The argument of the zero point's rule that says how blue a star was seen to be.
_WAVENUMBER: Final = "nu_eff_used_in_astrometry"


@dataclass(frozen=True)
class _Colour:
    """A blue band minus a red one, of all stars; NaN where one is not known.

    Attributes
    ----------
    group, blue, red : str
        The group of magnitudes, and its bands.
    values : ndarray of shape (n,)
        Mag.
    ratio : float
        Of the wavelengths, above 1.
    """

    group: str
    blue: str
    red: str
    values: Float
    ratio: float

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.blue} - {self.red}"

    @property
    def bluest(self) -> float:
        """The colour of a body of infinite temperature: flux as the square of the frequency.

        In AB magnitudes; in those of Vega, from B to K, it is redder.
        """
        return -5.0 * float(np.log10(self.ratio))

    @property
    def median(self) -> float:
        """Of the stars that have it."""
        return float(np.median(self.values[np.isfinite(self.values)]))


def check_magnitudes(view: View, release: ReleaseSpec, looked: Looked) -> None:
    """Note bands that stand in each other's place."""
    ids = [view.tables[table].ids for table in release.driving_tables if table in view.tables]
    stars = np.unique(np.concatenate([np.empty(0, np.int64), *ids]))
    found = [
        colour
        for colour in _colours(view, release, stars)
        if np.isfinite(colour.values).sum() >= LEAST_STARS
    ]
    for colour in found:
        _check_bluest(colour, view, release, looked)
    far = [colour for colour in found if colour.ratio >= _FAR]
    wavenumber = _wavenumber(view, release, stars)
    if wavenumber is not None:
        for colour in far:
            _check_wavenumber(colour, wavenumber, view, release, looked)
    for one, other in combinations(far, 2):
        if one.group != other.group:
            _check_together(one, other, view, release, looked)
    _check_whole(view, release, stars, looked)


def _where(band: Band) -> str:
    """Return the word of a band's UCD that says where it lies; empty where none does."""
    words = (word.strip() for word in band.ucd.lower().split(";"))
    return next((word for word in words if word in _MICROMETRES or word == _WHOLE), "")


def _colours(view: View, release: ReleaseSpec, stars: Ids) -> Iterator[_Colour]:
    for group, bands in release.photometry.items():
        lies = {name: _MICROMETRES.get(_where(band)) for name, band in bands.bands.items()}
        placed = sorted((at, name) for name, at in lies.items() if at is not None)
        values = {
            name: view.looked_up(bands.bands[name].column, stars, release) for _, name in placed
        }
        for (short, blue), (long, red) in combinations(placed, 2):
            one, other = values[blue], values[red]
            if short < long and one is not None and other is not None:
                yield _Colour(group, blue, red, _difference(one, other), long / short)


def _difference(one: Float, other: Float) -> Float:
    """Return a colour, NaN where it is none."""
    with np.errstate(invalid="ignore"):  # of infinities
        colour = one - other
    return np.where(np.abs(colour) < _NO_COLOUR, colour, np.nan)


def _wavenumber(view: View, release: ReleaseSpec, stars: Ids) -> Float | None:
    """Return the effective wavenumbers, where the zero point's rule reads them."""
    rule = release.parallax_zero_point
    column = rule.inputs.get(_WAVENUMBER)
    if column is None and rule.fallback is not None:
        column = rule.fallback.inputs.get(_WAVENUMBER)
    return None if column is None else view.looked_up(column, stars, release)


def _check_bluest(colour: _Colour, view: View, release: ReleaseSpec, looked: Looked) -> None:
    known = colour.values[np.isfinite(colour.values)]
    looked.facts[f"photometry.{colour.group}.bands ({colour.name})"] = (
        f"median {colour.median:+.2f} mag of {known.size} stars"
    )
    beyond = float((known < colour.bluest).mean())
    if beyond > _TOO_BLUE:
        _add_swapped(
            colour,
            f"{beyond:.0%} of {known.size} stars are bluer in {colour.name} than the hottest body"
            f" ({colour.bluest:+.2f} mag)",
            (view, release, looked),
        )


def _check_wavenumber(
    colour: _Colour, wavenumber: Float, view: View, release: ReleaseSpec, looked: Looked
) -> None:
    agreement, count = rank_correlation(colour.values, -wavenumber)
    if count >= LEAST_STARS and agreement < _AGAINST:
        _add_swapped(
            colour,
            f"{colour.name} rises with the effective wavenumber of {count} stars (correlation"
            f" {-agreement:+.2f}): blue stars are red in it",
            (view, release, looked),
        )


def _check_together(
    one: _Colour, other: _Colour, view: View, release: ReleaseSpec, looked: Looked
) -> None:
    agreement, count = rank_correlation(one.values, other.values)
    if count >= LEAST_STARS and agreement < _AGAINST:
        odd, even = sorted((one, other), key=lambda colour: colour.median)
        _add_swapped(
            odd,
            f"{odd.name} (median {odd.median:+.2f} mag) falls where {even.name} (median"
            f" {even.median:+.2f}) rises (correlation {agreement:+.2f} of {count} stars)",
            (view, release, looked),
        )


def _add_swapped(colour: _Colour, seen: str, where: tuple[View, ReleaseSpec, Looked]) -> None:
    view, release, looked = where
    bands = release.photometry[colour.group].bands
    columns = [bands[band].column for band in (colour.blue, colour.red)]
    table = _home(columns[0], release)
    line = f"photometry.{colour.group}.bands"
    looked.add(
        line,
        table,
        f"{view.tables[table].file.name}: {seen}: the magnitudes {' and '.join(columns)} are"
        " swapped.",
        f"Swap `column` of {colour.blue} and {colour.red} at {line}, or their `names` at"
        f" tables.{table}.columns; if they are right, correct the `ucd` of these bands.",
    )


def _check_whole(view: View, release: ReleaseSpec, stars: Ids, looked: Looked) -> None:
    """Note a band over all of the visible that is brighter, or fainter, than all of its parts."""
    for group, bands in release.photometry.items():
        places = {name: _where(band) for name, band in bands.bands.items()}
        parts = [name for name, place in places.items() if place in _BLUE_PARTS | _RED_PARTS]
        if not all({places[name] for name in parts} & side for side in (_BLUE_PARTS, _RED_PARTS)):
            continue
        for whole in (name for name, place in places.items() if place == _WHOLE):
            columns = [bands.bands[name].column for name in (whole, *parts)]
            values = [view.looked_up(column, stars, release) for column in columns]
            known = [each for each in values if each is not None]
            if len(known) < len(values):
                continue
            outside = _outside(known[0], np.array(known[1:]))
            if outside.size < LEAST_STARS or np.median(outside) <= _OUTSIDE:
                continue
            table, line = _home(columns[0], release), f"photometry.{group}.bands"
            looked.add(
                line,
                table,
                f"{view.tables[table].file.name}: {columns[0]}, of the whole of the visible, lies"
                f" {np.median(outside):.2f} mag outside of {' and '.join(columns[1:])} for half of"
                f" {outside.size} stars, where it should be between: two of these magnitudes are"
                " swapped.",
                f"Correct `column` of {', '.join((whole, *parts))} at {line}, or their `names` at"
                f" tables.{table}.columns; if they are right, correct the `ucd` of these bands.",
            )


def _outside(whole: Float, parts: Float) -> Float:
    """Return how far a magnitude is outside of others, (n, stars), for those that have all."""
    good = np.isfinite(whole) & np.isfinite(parts).all(axis=0)
    parts, whole = parts[:, good], whole[good]
    return np.asarray(np.maximum(whole - parts.max(axis=0), parts.min(axis=0) - whole))


def _home(column: str, release: ReleaseSpec) -> TableName:
    home = release.home_of(column)
    return release.source_table if home is None else home
