"""Columns that are told by others that belong to them: an error by its value, arrays by length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from catalog_builder.archive.tables import ColumnSpec
from catalog_builder.contract.units import same_unit
from catalog_builder.inspecting.likeness import Likeness, likeness, telling_words, words_of
from catalog_builder.inspecting.profile import Profile

#: Behind the name of a described column, the one with its error.
_ERROR: Final = "_error"
_ERROR_WORD: Final = frozenset({"error"})
#: Words of arrays that are as long as the flux and something else.
_OTHERWISE: Final = frozenset(
    {"ivar", "invvar", "weight", "weights", "mask", "flag", "flags", "quality", "dq", "bitmask"}
    | {"wave", "wavelength", "wavelengths", "lambda", "loglam", "wl", "pixel", "sky", "sn"}
    | {"continuum", "cont", "model", "template", "telluric", "resolution", "variance", "var"}
    | {"background", "residual", "residuals", "bestfit", "blaze", "throughput", "exposure"}
    | {"count", "counts", "normalisation", "normalization"}
)


def match_siblings(
    matched: Mapping[str, Likeness],
    described: Mapping[str, ColumnSpec],
    profiles: Mapping[str, Profile],
    fits: Mapping[str, set[str]],
) -> dict[str, Likeness]:
    """Find columns whose names are like none, by those that were found.

    Parameters
    ----------
    matched : mapping of str to Likeness
        By canonical name, what names tell.
    described : mapping of str to ColumnSpec
        Of the table.
    profiles : mapping of str to Profile
        Of the file.
    fits : mapping of str to set of str
        By canonical name, columns of the file of a kind that is possible.

    Returns
    -------
    dict of str to Likeness
        What was found beyond `matched`, each with what tells it (`by`).
    """
    found = dict(matched)
    for look in (_by_errors, _by_lengths, _by_errors):
        for name, column, by in list(look(found, described, profiles, fits)):
            if name not in found and column not in {each.name for each in found.values()}:
                found[name] = Likeness(column, 0.5, by)
    return {name: each for name, each in found.items() if name not in matched}


def _left(found: Mapping[str, Likeness], fits: set[str]) -> list[str]:
    taken = {each.name for each in found.values()}
    return sorted(fits - taken)


def _by_errors(
    found: Mapping[str, Likeness],
    described: Mapping[str, ColumnSpec],
    profiles: Mapping[str, Profile],
    fits: Mapping[str, set[str]],
) -> Iterator[tuple[str, str, str]]:
    """Yield values whose error was found, and errors whose value was."""
    for name in described:
        if name in found:
            continue
        value = name.removesuffix(_ERROR)
        if value != name and value in found:
            wanted = words_of(found[value].name) | _ERROR_WORD
            what = f"the error of {found[value].name}"
        elif f"{name}{_ERROR}" in found:
            error = found[f"{name}{_ERROR}"].name
            wanted, what = words_of(error) - _ERROR_WORD, f"{error} is its error"
        else:
            continue
        there = [each for each in _left(found, fits[name]) if words_of(each) == wanted]
        lengths = {profiles[each].length for each in there}
        if len(there) == 1 and lengths <= lengths_beside(name, found, described, profiles):
            yield name, there[0], what


def lengths_beside(
    name: str,
    found: Mapping[str, Likeness],
    described: Mapping[str, ColumnSpec],
    profiles: Mapping[str, Profile],
) -> set[int | None]:
    """Return the lengths in the file of what is described as long as a column; None of scalars."""
    of = described[name].length
    return {
        profiles[each.name].length
        for other, each in found.items()
        if other in described and described[other].length == of
    }


def _by_lengths(
    found: Mapping[str, Likeness],
    described: Mapping[str, ColumnSpec],
    profiles: Mapping[str, Profile],
    fits: Mapping[str, set[str]],
) -> Iterator[tuple[str, str, str]]:
    """Yield arrays of which only one of the file is as long as they must be, and may be them."""
    missing: dict[int, list[str]] = {}
    for name, spec in described.items():
        if spec.length is not None and name not in found:
            missing.setdefault(spec.length, []).append(name)
    for length, names in missing.items():
        left = _left(found, fits[names[0]])
        beside = lengths_beside(names[0], found, described, profiles)
        lengths = beside or _likely_lengths(length, [profiles[each].length for each in left], names)
        for are_errors in (False, True):
            wanted = [name for name in names if _is_error(name) == are_errors]
            there = [
                each
                for each in left
                if profiles[each].length in lengths
                and _is_error(each) == are_errors
                and not words_of(each) & _OTHERWISE
            ]
            if len(wanted) == len(there) == 1:
                yield wanted[0], there[0], f"the only such array of {profiles[there[0]].length}"


def _likely_lengths(
    described: int, lengths: Sequence[int | None], names: Sequence[str]
) -> set[int | None]:
    """Return the described length if it is there; else the only one that comes often enough."""
    if described in lengths:
        return {described}
    often = {each for each in lengths if lengths.count(each) >= len(names)}
    return often if len(often) == 1 else set()


def _is_error(name: str) -> bool:
    return bool(words_of(name) & _ERROR_WORD)


def candidates(
    name: str,
    found: Mapping[str, Likeness],
    described: Mapping[str, ColumnSpec],
    profiles: Mapping[str, Profile],
    fits: set[str],
    shown: int = 6,
) -> str:
    """Say which columns of a file may be one that was not found, the likeliest first.

    Of arrays those that are as long as what was found beside it, or as it is described, come
    first; of others those that share a telling word of the name, or the unit.
    """
    left, spec = _left(found, fits), described[name]
    if spec.length is not None:
        lengths = lengths_beside(name, found, described, profiles) or {spec.length}
        left.sort(key=lambda each: profiles[each].length not in lengths)
        words = [f"{each} (array of {profiles[each].length})" for each in left]
    else:
        left.sort(key=lambda each: -likeness(name, each))
        told = telling_words(name)
        words = [
            each
            for each in left
            if telling_words(each) & told
            or (spec.unit and profiles[each].unit and same_unit(profiles[each].unit, spec.unit))
        ]
    more = f" and {len(words) - shown} more" if len(words) > shown else ""
    return f"candidates: {', '.join(words[:shown])}{more}" if words else "no column is like it"
