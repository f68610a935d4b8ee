"""What the templates in ``schemas/`` are filled with: the things of a contract, and their words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from typing import Final, NamedTuple

from catalog_builder.contract.contract import Contract
from catalog_builder.contract.distances import conflict_name
from catalog_builder.contract.inputs import PARALLAX, Band, Inputs, SpectrumInput
from catalog_builder.contract.labels import Label
from catalog_builder.contract.words import listed, with_article

#: What stands for a place in braces: text, or a number.
Places = Mapping[str, str | float]


class Thing(NamedTuple):
    """One of the things that a template is repeated for.

    Attributes
    ----------
    name : str
        By which a template may say something of one of them, such as the number of its bit.
    places : mapping of str to str or float
        What its places stand for.
    """

    name: str
    places: Places


class Digit(NamedTuple):
    """A digit of the training-range string.

    Attributes
    ----------
    title : str
        What it is about.
    outside : str
        The bit that says outside.
    tested : str
        The bit that says whether there was anything to test.
    value : bool
        What `tested` is where there was.
    """

    title: str
    outside: str
    tested: str
    value: bool


class Colour(NamedTuple):
    """A colour that is published: its column, and the two bands with their names."""

    column: str
    one: tuple[str, Band]
    other: tuple[str, Band]


def digits_of(contract: Contract) -> tuple[Digit, ...]:
    """Return what the digits of the training-range string are about, in order."""
    digits = [
        Digit(name, f"{name}_outside_range", f"{name}_not_available", value=False)
        for name in contract.labels.names
    ]
    if magnitude := magnitude_of(contract.inputs):
        group, name, band = magnitude
        digits.append(Digit(band.title, f"{name}_outside_range", f"{group}_used", value=True))
    if contract.inputs.parallax:
        digits.append(Digit(PARALLAX, f"{PARALLAX}_outside_range", f"{PARALLAX}_used", value=True))
    return tuple(digits)


def magnitude_of(inputs: Inputs) -> tuple[str, str, Band] | None:
    """Return the magnitude's input, the name of its band, and the band; None if there is none."""
    for group, bands in inputs.photometry.items():
        name, band = next(iter(bands.bands.items()))
        return group, name, band
    return None


def colours_of(inputs: Inputs) -> Iterator[Colour]:
    """Yield the colours that are published: the first of each group of magnitudes."""
    for group in inputs.photometry.values():
        for one, other in group.colours[:1]:
            bands = group.bands
            yield Colour(f"{one}_{other}", (one, bands[one]), (other, bands[other]))


def has_luminosity(contract: Contract) -> bool:
    """Say whether labels and magnitudes can tell an absolute magnitude, and parallaxes teach it."""
    roles = {label.role for label in contract.labels}
    inputs = contract.inputs
    return bool(
        {"temperature", "gravity"} <= roles
        and inputs.parallax
        and inputs.spectra
        and inputs.reddening_free
    )


def _label(label: Label, place: str = "label") -> Places:
    return {
        f"{place}.name": label.name,
        f"{place}.title": label.title,
        f"{place}.short": label.short,
        f"{place}.meaning": label.meaning,
        f"{place}.unit": label.unit,
        f"{place}.ucd": label.ucd,
        # A sentence of its own, for an abundance has no unit.
        f"{place}.in_dex": " In dex." if label.in_dex else "",
    }


def _spectrum(name: str, spectrum: SpectrumInput, place: str = "spectrum") -> Places:
    return {
        f"{place}.name": name,
        f"{place}.title": spectrum.title,
        f"{place}.a_title": with_article(spectrum.title),
        f"{place}.sig_to_noise": spectrum.sig_to_noise or "",
        f"{place}.low_sig_to_noise": spectrum.low_sig_to_noise or 0.0,
    }


def _band(name: str, band: Band, place: str = "band") -> Places:
    return {
        f"{place}.name": name,
        f"{place}.column": band.column,
        f"{place}.title": band.title,
        f"{place}.ucd": band.ucd,
        f"{place}.where": band.ucd.removeprefix("phot.mag"),
        f"{place}.meaning": band.meaning,
    }


def _labels(contract: Contract) -> Iterator[Thing]:
    return (Thing(label.name, _label(label)) for label in contract.labels)


def _label_pairs(contract: Contract) -> Iterator[Thing]:
    for one, other in combinations(contract.labels, 2):
        yield Thing(f"{one.name}_{other.name}", {**_label(one, "one"), **_label(other, "other")})


def _spectra(contract: Contract) -> Iterator[Thing]:
    return _things_of(contract.inputs.spectra)


def _line_spectra(contract: Contract) -> Iterator[Thing]:
    return _things_of(contract.inputs.lines)


def _with_sig_to_noise(contract: Contract) -> Iterator[Thing]:
    spectra = contract.inputs.spectra
    return _things_of({n: one for n, one in spectra.items() if one.sig_to_noise is not None})


def _with_low_sig_to_noise(contract: Contract) -> Iterator[Thing]:
    spectra = contract.inputs.spectra
    return _things_of(
        {
            name: one
            for name, one in spectra.items()
            if one.sig_to_noise is not None and one.low_sig_to_noise is not None
        }
    )


def _things_of(spectra: Mapping[str, SpectrumInput]) -> Iterator[Thing]:
    return (Thing(name, _spectrum(name, spectrum)) for name, spectrum in spectra.items())


def _spectrum_pairs(contract: Contract) -> Iterator[Thing]:
    spectra = contract.inputs.spectra
    for one, other in contract.inputs.pairs:
        places = {
            **_spectrum(one, spectra[one], "one"),
            **_spectrum(other, spectra[other], "other"),
            "conflict": conflict_name(one, other),
        }
        yield Thing(f"{one}_{other}", places)


def _photometry(contract: Contract) -> Iterator[Thing]:
    for name, group in contract.inputs.photometry.items():
        titles = [band.title for band in group.bands.values()]
        places = {
            "photometry.name": name,
            "photometry.title": group.title,
            "photometry.bands": f"{listed(titles)} {'were' if len(titles) > 1 else 'was'}",
        }
        yield Thing(name, places)


def _bands(contract: Contract) -> Iterator[Thing]:
    for group in contract.inputs.photometry.values():
        for name, band in group.bands.items():
            yield Thing(name, _band(name, band))


def _colours(contract: Contract) -> Iterator[Thing]:
    for colour in colours_of(contract.inputs):
        places = {**_band(*colour.one, "one"), **_band(*colour.other, "other")}
        yield Thing(colour.column, places | {"colour.name": colour.column})


def _magnitude(contract: Contract) -> Iterator[Thing]:
    if found := magnitude_of(contract.inputs):
        _, name, band = found
        yield Thing(name, _band(name, band, "magnitude"))


def _parallax(contract: Contract) -> Iterator[Thing]:
    if contract.inputs.parallax:
        yield Thing(PARALLAX, {})


def _parallax_fallback(contract: Contract) -> Iterator[Thing]:
    if contract.inputs.parallax and contract.inputs.parallax_fallback:
        yield Thing(PARALLAX, {})


def _several_rows(contract: Contract) -> Iterator[Thing]:
    if contract.inputs.several_rows:
        yield Thing("star", {})


def _spelt_ids(contract: Contract) -> Iterator[Thing]:
    if contract.inputs.spelt_ids:
        yield Thing("identifier", {})


def _luminosity(contract: Contract) -> Iterator[Thing]:
    if has_luminosity(contract):
        yield Thing("luminosity", {})


def _digits(contract: Contract) -> Iterator[Thing]:
    return (Thing(one.outside, {"digit.title": one.title}) for one in digits_of(contract))


#: What a template may be repeated for, by the word behind its `for`.
THINGS: Final[Mapping[str, Callable[[Contract], Iterator[Thing]]]] = {
    "label": _labels,
    "label_pair": _label_pairs,
    "spectrum": _spectra,
    "line_spectrum": _line_spectra,
    "spectrum_pair": _spectrum_pairs,
    "spectrum_with_sig_to_noise": _with_sig_to_noise,
    "spectrum_with_low_sig_to_noise": _with_low_sig_to_noise,
    "photometry": _photometry,
    "band": _bands,
    "colour": _colours,
    "magnitude": _magnitude,
    "parallax": _parallax,
    "parallax_fallback": _parallax_fallback,
    "several_rows": _several_rows,
    "spelt_ids": _spelt_ids,
    "luminosity": _luminosity,
    "digit": _digits,
}
