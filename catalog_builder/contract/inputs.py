"""Inputs as data: the spectra, magnitudes and the parallax that a network may see.

A release describes them (`catalog_builder.archive.release`) with all that is needed to read them;
here is what is left when they have become features, which is also what a model remembers of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from catalog_builder.contract.description import Description, Grown
from catalog_builder.contract.grids import GridSpec
from catalog_builder.contract.labels import refuse_twice
from catalog_builder.contract.words import listed

InputName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
ColumnName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Words = Annotated[str, Field(min_length=1, max_length=80)]
#: Spectra, groups of magnitudes, magnitudes of a group: what a model from elsewhere may ask for.
_MOST_INPUTS: Final = 16
_MOST_SAMPLES: Final = 20_000

PARALLAX: Final = "parallax"
#: Conflicts of these pairs were released under names of their own.
RELEASED_CONFLICTS: Final = {("rvs", "xp"): "input_conflict"}
#: Inputs, tables of networks, dimensions of stores and keys of calibrations that are there anyway.
_TAKEN: Final = frozenset({PARALLAX, "luminosity", "labels", "any", "source", "rejected"})


class SpectrumInput(Description):
    """A spectrum as a network sees it.

    Attributes
    ----------
    title : str
        What it is called in sentences: ``RVS`` makes "the RVS spectrum".
    kind : {"lines", "low_resolution"}
        A normalised spectrum of lines, seen by its depth and the trust in each sample; or a
        spectral energy distribution divided by a scale, seen by its softened logarithm.
    grid : GridSpec
        Of the features: wavelengths in vacuum.
    sig_to_noise : str, optional
        Column of the features with its signal-to-noise ratio. Spectra without one have the median
        of flux over error.
    low_sig_to_noise : float, optional
        Below it the flag for low S/N is set.
    """

    title: Words
    kind: Literal["lines", "low_resolution"]
    grid: GridSpec
    sig_to_noise: ColumnName | None = None
    low_sig_to_noise: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _can_be_held(self) -> Self:
        if not 16 <= self.grid.count <= _MOST_SAMPLES:
            raise ValueError(f"a grid of {self.grid.count} samples; 16 to {_MOST_SAMPLES} are seen")
        return self

    @property
    def samples(self) -> int:
        """Samples of its grid."""
        return self.grid.count


class Band(Description):
    """A photometric band.

    Attributes
    ----------
    column : str
        Of the magnitude.
    title : str
        ``G``, ``BP``, ``Ks``.
    ucd : str
        Of the magnitude.
    meaning : str
        What its column's description says beside its title.
    """

    column: ColumnName
    title: Words
    ucd: Annotated[str, Field(max_length=120)] = "phot.mag"
    meaning: Annotated[str, Field(max_length=400)] = "Copied from the archive."


class ReddeningFree(Description):
    """A magnitude that dust leaves as it is: a magnitude minus a multiple of a colour.

    Attributes
    ----------
    magnitude : str
        Its band, by name.
    colour : (str, str)
        Bands of the colour.
    factor : float
        What the colour is multiplied with: extinction in the band over reddening of the colour.
    """

    magnitude: InputName
    colour: tuple[InputName, InputName]
    factor: Annotated[float, Field(gt=0, le=20, allow_inf_nan=False)]

    @property
    def weights(self) -> dict[str, float]:
        """What each band is multiplied with in the sum, by name."""
        one, other = self.colour
        found = {self.magnitude: 1.0}
        for band, weight in ((one, -self.factor), (other, self.factor)):
            found[band] = found.get(band, 0.0) + weight
        return found


class BandsInput(Grown):
    """Magnitudes that are an input together: a star has them all or is without this input.

    Attributes
    ----------
    title : str
        What they are called in sentences.
    bands : dict of str to Band
        By a short name. A network sees the first as it is.
    colours : tuple of (str, str)
        Differences that it sees beside, by the bands' names; each band must be in one, or first.
    reddening_free : ReddeningFree, optional
        What distances by labels and magnitudes are made with; without it there are none.
    """

    added: ClassVar[tuple[str, ...]] = ("reddening_free",)

    title: Words
    bands: Annotated[dict[InputName, Band], Field(min_length=1, max_length=_MOST_INPUTS)]
    colours: Annotated[tuple[tuple[InputName, InputName], ...], Field(max_length=_MOST_INPUTS)] = ()
    reddening_free: ReddeningFree | None = None

    @model_validator(mode="after")
    def _reddening_free_of_its_own(self) -> Self:
        index = self.reddening_free
        if index is not None and (unknown := sorted(set(index.weights) - set(self.bands))):
            raise ValueError(f"reddening_free of {', '.join(unknown)}, which `bands` does not have")
        return self

    @model_validator(mode="after")
    def _every_band_is_seen(self) -> Self:
        unknown = sorted({band for colour in self.colours for band in colour} - set(self.bands))
        if unknown:
            raise ValueError(f"colours of {', '.join(unknown)}, which `bands` does not have")
        seen = {next(iter(self.bands)), *(band for colour in self.colours for band in colour)}
        pairs = [frozenset(colour) for colour in self.colours]
        for colour, pair in zip(self.colours, pairs, strict=True):
            if len(pair) == 1 or pairs.count(pair) > 1:
                raise ValueError(f"the colour {'-'.join(colour)} says nothing, or is there twice")
        if unseen := sorted(set(self.bands) - seen):
            raise ValueError(f"{', '.join(unseen)} is in no colour, and so would not be seen")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the magnitudes, in order."""
        return tuple(band.column for band in self.bands.values())

    @property
    def magnitude(self) -> str:
        """Column of the first band."""
        return self.columns[0]

    @property
    def width(self) -> int:
        """Numbers that a network sees: the first magnitude, and the colours."""
        return 1 + len(self.colours)


class Inputs(Grown):
    """All inputs, in the order of every array that says which a star has.

    Attributes
    ----------
    spectra : dict of str to SpectrumInput
        By name; their features are ``<name>_flux`` and so on.
    photometry : dict of str to BandsInput
        By name; the first band of the first is what is called the magnitude.
    parallax : bool
        Whether the parallax is an input.
    parallax_fallback : bool
        Whether the zero point of some parallaxes is that of a fallback, which a flag says.
    spelt_ids : bool
        Whether the archive's identifiers are words, and ``source_id`` a key made of one.
    several_rows : bool
        Whether a star may have several rows, each of a spectrum; ``star_id`` says whose one is.
    """

    added: ClassVar[tuple[str, ...]] = ("parallax_fallback", "several_rows", "spelt_ids")

    spectra: Annotated[dict[InputName, SpectrumInput], Field(max_length=_MOST_INPUTS)] = Field(
        default_factory=dict
    )
    photometry: Annotated[dict[InputName, BandsInput], Field(max_length=_MOST_INPUTS)] = Field(
        default_factory=dict
    )
    parallax: bool = True
    parallax_fallback: bool = False
    several_rows: bool = False
    spelt_ids: bool = False

    @model_validator(mode="after")
    def _once_each(self) -> Self:
        for name in (*self.spectra, *self.photometry):
            if name in _TAKEN:
                raise ValueError(
                    f"no spectrum or group of magnitudes can be called {name}: the program has"
                    f" something of that name, as it has {listed(sorted(_TAKEN - {name}))}"
                )
        if both := sorted(set(self.spectra) & set(self.photometry)):
            raise ValueError(f"{both[0]} is a spectrum and a group of magnitudes: rename one")
        refuse_twice(column for bands in self.photometry.values() for column in bands.columns)
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all inputs: spectra, photometry, parallax."""
        return (*self.spectra, *self.photometry, *((PARALLAX,) if self.parallax else ()))

    def place(self, name: str) -> int:
        """Return the place of an input by its name; raises ValueError where there is none."""
        return self.names.index(name)

    @property
    def lines(self) -> Mapping[str, SpectrumInput]:
        """Spectra of lines."""
        return {name: spec for name, spec in self.spectra.items() if spec.kind == "lines"}

    @property
    def low_resolution(self) -> Mapping[str, SpectrumInput]:
        """Spectra of low resolution."""
        return {name: spec for name, spec in self.spectra.items() if spec.kind == "low_resolution"}

    @property
    def pairs(self) -> Iterator[tuple[str, str]]:
        """Names of any two spectra that may contradict each other, in order.

        Two whose conflict was released have the order that they had then.
        """
        pairs = combinations(self.spectra, 2)
        return ((b, a) if (b, a) in RELEASED_CONFLICTS else (a, b) for a, b in pairs)

    @property
    def magnitude(self) -> str | None:
        """Column of the magnitude by which stars are called bright or faint, if there is one."""
        first = next(iter(self.photometry.values()), None)
        return None if first is None else first.magnitude

    @property
    def magnitude_owner(self) -> str | None:
        """Name of the input that the magnitude belongs to."""
        return next(iter(self.photometry), None)

    @property
    def bands(self) -> Iterator[Band]:
        """Yield the bands of all photometry, in order."""
        return (band for group in self.photometry.values() for band in group.bands.values())

    @property
    def reddening_free(self) -> Mapping[str, float]:
        """Weights of the magnitudes, by column, in a sum without reddening; empty if none is told.

        That of the first group that has one.
        """
        for group in self.photometry.values():
            if group.reddening_free is not None:
                weights = group.reddening_free.weights
                return {group.bands[band].column: weight for band, weight in weights.items()}
        return {}

    def title(self, name: str) -> str:
        """Return what an input is called in sentences."""
        if name in self.spectra:
            return self.spectra[name].title
        return self.photometry[name].title if name in self.photometry else name
