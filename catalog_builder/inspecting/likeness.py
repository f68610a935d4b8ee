"""Which column of a file a described one may be where names differ: by a stated likeness."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

#: Two columns of less likeness are not taken for the same.
LEAST: Final = 0.62
#: Words of names that say the same.
_SAME: Final = {
    "err": "error",
    "sigma": "error",
    "e": "error",
    "unc": "error",
    "uncertainty": "error",
    "id": "id",
    "ident": "id",
    "identifier": "id",
    "magnitude": "mag",
    "coeff": "coefficient",
    "coeffs": "coefficient",
    "coefs": "coefficient",
    "coef": "coefficient",
    "coefficients": "coefficient",
    "corr": "correlation",
    "correlations": "correlation",
    "errors": "error",
    "rightascension": "ra",
    "declination": "dec",
    "raj2000": "ra",
    "dej2000": "dec",
    "alpha": "ra",
    "delta": "dec",
    "de": "dec",
    "plx": "parallax",
    "varpi": "parallax",
    "par": "parallax",
    "std": "error",
    "stddev": "error",
    "sd": "error",
    "sig": "error",
    "rms": "error",
    "uncert": "error",
    "grvs": "rvs",
    "source": "source",
    "src": "source",
    "object": "source",
    "obj": "source",
    "star": "source",
    "nueff": "nu_eff",
    "pscol": "pseudocolour",
    "pseudocolor": "pseudocolour",
    "elat": "ecl_lat",
    "rv": "radial_velocity",
    "vrad": "radial_velocity",
    "fluxes": "flux",
    "snr": "sn",
}
#: Words that tell little.
_WEAK: Final = {
    *("mean", "spec", "spectrum", "value", "gaia", "the", "of", "in", "used", "phot", "icrs"),
    *("deg", "mas", "norm", "normalised", "normalized", "astrometry", "astrometric"),
}
#: Several words, or parts of one, that are said together.
_TOGETHER: Final = (
    (re.compile(r"sig(nal)?_?(to_?)?noise(_ratio)?|s/n|snr", re.I), "_sn_"),
    (re.compile(r"(?<=[a-zA-Z0-9])_?mag(nitude)?s?(?![a-z])", re.I), "_mag_"),
    (re.compile(r"nu_eff", re.I), "nueff"),
    (re.compile(r"ecl_lat", re.I), "elat"),
    (re.compile(r"radial_?velocity", re.I), "rv"),
)


@dataclass(frozen=True)
class Likeness:
    """A column of a file that may be a described one.

    Attributes
    ----------
    name : str
        In the file.
    share : float
        0 to 1: by words of the names, their letters, and whether the units are the same.
    by : str
        What tells it where the names do not; empty where they do.
    """

    name: str
    share: float
    by: str = ""

    @property
    def in_words(self) -> str:
        """What it was taken by."""
        return self.by or f"likeness {self.share:.2f}"


@functools.lru_cache(maxsize=1 << 16)
def likeness(described: str, found: str, *, same_unit: bool = False) -> float:
    """Return the likeness of two columns, 0 to 1."""
    if described.lower() == found.lower():
        return 1.0
    letters = difflib.SequenceMatcher(None, _plain(described), _plain(found)).ratio()
    left, right = words_of(described), words_of(found)
    both = sum(_weight(word) for word in left & right)
    words = both / max(1e-9, sum(_weight(word) for word in left | right))
    inside = both / max(1e-9, min(sum(map(_weight, left)) or 1.0, sum(map(_weight, right)) or 1.0))
    share = max(letters, 0.5 * (words + inside))
    return min(0.99, share + 0.08 * same_unit)


def match_names(
    described: Mapping[str, Iterable[str]],
    found: Iterable[str],
    fits: Mapping[str, set[str]],
    same_units: Mapping[str, set[str]],
) -> dict[str, Likeness]:
    """Find for each described column the one of a file that is most like it, each used once.

    Parameters
    ----------
    described : mapping of str to iterable of str
        Canonical names, and the names that they may have in files.
    found : iterable of str
        Names in the file.
    fits, same_units : mapping of str to set of str
        By canonical name, columns of the file of a kind that is possible, and of the same unit.

    Returns
    -------
    dict of str to Likeness
        Of the columns for which one was found; 1 where the name is the same.
    """
    names = list(found)
    known = {native.lower(): one for one, natives in described.items() for native in natives}
    there = {name.lower(): known[name.lower()] for name in names if name.lower() in known}
    pairs = sorted(
        (
            (max(_likeness(each, name, canonical, same_units) for each in natives), canonical, name)
            for canonical, natives in described.items()
            for name in names
            if name in fits.get(canonical, set())
            and not _of_another(canonical, name.lower(), there)
        ),
        key=lambda pair: (-pair[0], pair[1], pair[2]),
    )
    matched: dict[str, Likeness] = {}
    taken: set[str] = set()
    for share, canonical, name in pairs:
        if share >= LEAST and canonical not in matched and name not in taken:
            matched[canonical] = Likeness(name, share)
            taken.add(name)
    return matched


def _of_another(canonical: str, name: str, there: Mapping[str, str]) -> bool:
    """Tell whether a column is about another one: x_lower belongs to x, if x is there too.

    By the names there, and what each is called canonically: of a flux called x, x_error is the
    error.
    """
    if name in there:
        return False
    return any(
        name.startswith(f"{other}_") and not canonical.startswith((f"{other}_", f"{described}_"))
        for other, described in there.items()
    )


def _likeness(native: str, name: str, canonical: str, same_units: Mapping[str, set[str]]) -> float:
    return likeness(native, name, same_unit=name in same_units.get(canonical, set()))


def most_like(name: str, others: Iterable[str]) -> Likeness | None:
    """Return which of some names is most like one; None where none is."""
    best = max(
        ((likeness(name, other), other) for other in others), default=(0.0, ""), key=lambda x: x[0]
    )
    return Likeness(best[1], best[0]) if best[0] >= LEAST else None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


@functools.lru_cache(maxsize=1 << 14)
def words_of(name: str) -> frozenset[str]:
    """Return the words of a name, those that say the same as one."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    for pattern, word in _TOGETHER:
        spaced = pattern.sub(word, spaced)
    words = (word.lower() for word in re.split(r"[^A-Za-z0-9]+", spaced) if word)
    return frozenset(_SAME.get(word, word) for word in words)


def telling_words(name: str) -> frozenset[str]:
    """Return the words of a name without those that tell little."""
    return words_of(name) - _WEAK


def _weight(word: str) -> float:
    return 0.25 if word in _WEAK else 1.0
