"""Which pixels a file of a table has, by where it lies: a range in its name, or its folder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.tables import PartitionRule, TableSpec
from catalog_builder.ground.errors import InputError

#: Folders that hold parts of a table, of each layout.
_PARTS: Final = {
    "ranges": None,
    "regions": re.compile(r"region=[^/]*", re.I),
    "anywhere": re.compile(r"[^._].*"),
    "hats": re.compile(r"dataset|Norder=\d+|Dir=\d+|Npix=\d+", re.I),
}
_REGION: Final = re.compile(r"region=(?P<base>[0-9a-b])(?P<digits>[0-3]*)", re.I)
_REGION_FOLDER: Final = re.compile(r"region=[^/]*", re.I)
_HATS: Final = re.compile(
    r"(?:dataset/)?Norder=(?P<order>\d{1,2})/(?:Dir=\d+/)?Npix=(?P<pixel>\d{1,12})(?:/|[.]|$)", re.I
)


class Choice(NamedTuple):
    """A file that was chosen.

    Parameters
    ----------
    limits : (int, int)
        First and last pixel of its range.
    label : str
        The range as the archive writes it; empty where it writes none.
    entry : dict
        fsspec's description of the file.
    place : str
        Where it lies in the table's folder.
    others : tuple of str
        Places of the files that were not taken for it.
    """

    limits: tuple[int, int]
    label: str
    entry: Mapping[str, Any]
    place: str
    others: tuple[str, ...] = ()


def is_part(name: str, rule: PartitionRule) -> bool:
    """Say whether a folder in a table's folder holds parts of it."""
    pattern = _PARTS[rule.layout]
    return pattern is not None and pattern.fullmatch(unquote(name)) is not None


def choose_files(
    listing: Iterable[Mapping[str, Any]], spec: TableSpec, release: ReleaseSpec
) -> tuple[list[Choice], list[str]]:
    """Pick the files of a table from what lies in its folder.

    Parameters
    ----------
    listing : iterable of dict
        fsspec's descriptions of entries, in parts of the folder too, each with its ``place``.
    spec : TableSpec
        The table.
    release : ReleaseSpec
        Says how its files are cut.

    Returns
    -------
    chosen : list of Choice
        In HEALPix order. Where several are the same in other formats (of the same range, or of the
        same name), that of the preferred ending; what is no file comes last: alone it is taken,
        for the reader to refuse.
    strays : list of str
        Places of files that would be the table's but lie in no region.

    Raises
    ------
    InputError
        If a file's name or folder holds no sensible range.
    """
    rank: dict[str, int] = {ending: number for number, ending in enumerate(spec.formats)}
    found: dict[Any, list[tuple[bool, int, str, Choice]]] = {}
    strays: list[str] = []
    for entry in listing:
        place = str(entry["place"])
        by_name = release.partition.layout == "ranges"
        made = (_by_name if by_name else _by_folder)(place, entry, spec, release.partition)
        if made is None:
            continue
        plain, ending, choice = made
        if choice is None:
            strays.append(place)
            continue
        is_odd = entry.get("type") in {"directory", "other"}
        found.setdefault(plain, []).append((is_odd, rank[ending], place, choice))
    chosen = []
    for candidates in found.values():
        candidates.sort(key=lambda candidate: candidate[:3])
        others = tuple(place for _, _, place, _ in candidates[1:])
        chosen.append(candidates[0][3]._replace(others=others))
    return sorted(chosen, key=lambda choice: (choice.limits, choice.place)), sorted(strays)


def _by_name(
    place: str, entry: Mapping[str, Any], spec: TableSpec, rule: PartitionRule
) -> tuple[Any, str, Choice | None] | None:
    """Return what tells a file from others, its ending, and the choice; None for a foreign file."""
    endings = "|".join(re.escape(ending) for ending in spec.formats)
    match = re.fullmatch(
        f"{re.escape(spec.stem)}(?P<label>{rule.range_pattern})[.](?P<ending>{endings})", place
    )
    if match is None:
        return None
    limits = int(match["start"]), int(match["stop"])
    if not 0 <= limits[0] <= limits[1] < rule.n_pixels:
        raise InputError(
            f"{entry['name']}: {match['label']} is no range of level-{rule.healpix_level} "
            f"pixels (0 to {rule.n_pixels - 1}).",
            "Rename or remove the file.",
        )
    return limits, match["ending"], Choice(limits, match["label"], entry, place)


def _by_folder(
    place: str, entry: Mapping[str, Any], spec: TableSpec, rule: PartitionRule
) -> tuple[Any, str, Choice | None] | None:
    """Return the same of a file in folders; without a choice where it lies in no region."""
    plain = unquote(place)
    base = plain.rsplit("/", 1)[-1]
    ending = next((each for each in spec.formats if base.endswith(f".{each}")), None)
    if ending is None or base.startswith(("_", ".")):
        return None
    # HATS calls a file by its pixel, where it is the only one.
    if not (base.startswith(spec.stem) or (rule.layout == "hats" and base.startswith("Npix="))):
        return None
    limits = _limits_of(plain, str(entry["name"]), rule)
    choice = None if limits is None else Choice(limits, "", entry, place)
    return plain.removesuffix(f".{ending}"), ending, choice


def _limits_of(place: str, name: str, rule: PartitionRule) -> tuple[int, int] | None:
    """Return the pixels of a place in a table's folder; None where it is in no region."""
    if rule.layout == "anywhere":
        return 0, rule.n_pixels - 1
    found = find_pixel(place, name, rule.layout)
    if found is None:
        return None
    order, pixel = found
    deeper = 2 * (rule.healpix_level - order)
    if deeper < 0:
        shift = rule.source_id_shift + deeper
        raise InputError(
            f"{name} is of HEALPix order {order}, finer than partition.healpix_level:"
            f" {rule.healpix_level} of the release description.",
            f"Write healpix_level: {order} and source_id_shift: {shift} at `partition`.",
        )
    return pixel << deeper, ((pixel + 1) << deeper) - 1


def find_pixel(place: str, name: str, layout: str) -> tuple[int, int] | None:
    """Return HEALPix order and pixel of a place in a table's folder; None where it has none.

    Parameters
    ----------
    place, name : str
        Where it lies there, and what it is called in messages.
    layout : str
        ``regions`` or ``hats``.

    Raises
    ------
    InputError
        If its folder is called like one of the layout, but is no region of the sky.
    """
    if layout == "hats":
        match = _HATS.match(place)
        if match is None:
            return None
        order, pixel = int(match["order"]), int(match["pixel"])
        if pixel >= 12 << (2 * order):
            raise _no_region(name, f"order {order} has no pixel {pixel}")
    else:
        folder = _REGION_FOLDER.match(place)
        if folder is None:
            return None
        match = _REGION.fullmatch(folder[0])
        if match is None:
            raise _no_region(
                name,
                f"{folder[0]} is no region: that is a digit 0 to b for the base pixel, and digits"
                " 0 to 3",
            )
        order, pixel = len(match["digits"]), int(match["base"], 16)
        for digit in match["digits"]:
            pixel = 4 * pixel + int(digit)
    return order, pixel


def _no_region(name: str, why: str) -> InputError:
    return InputError(f"{name}: {why}.", "Rename or remove the folder.")
