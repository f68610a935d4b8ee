"""Which of the descriptions that come with the program is nearest to an archive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from catalog_builder.archive.release import ReleaseSpec, load_written
from catalog_builder.ground.resources import shipped_files
from catalog_builder.inspecting.match import LookedTable, likeness_of_columns, match_tables


@dataclass(frozen=True)
class Nearness:
    """How near a description is.

    Attributes
    ----------
    name : str
        Of the description.
    found, tables : int
        Its tables that were found, and all of them.
    columns : int
        Columns of them that were found.
    share : float
        Their likeness, summed up.
    """

    name: str
    found: int
    tables: int
    columns: int
    share: float


def rank_releases(looked: Sequence[LookedTable], given: ReleaseSpec, called: str) -> list[Nearness]:
    """Return how near each description is that comes with the program, and the given one.

    That is told from them by what it is called: an own file may bear the name of a shipped one.
    """
    shipped = [file.stem for file in shipped_files("releases")]
    ranked = [_nearness(looked, called, given)]
    ranked += [_nearness(looked, name, load_written(name)) for name in shipped if name != called]
    return sorted(ranked, key=lambda one: -one.share)


def _nearness(looked: Sequence[LookedTable], name: str, release: ReleaseSpec) -> Nearness:
    matches = match_tables(looked, release)
    columns = sum(len(match.columns) for match in matches)
    share = sum(likeness_of_columns(match, release.tables[match.table]) for match in matches)
    return Nearness(name, len(matches), len(release.tables), columns, share)


def nearest_lines(ranked: Sequence[Nearness], given: str) -> Iterator[str]:
    """Say which description is nearest, and that it may be given in place of another."""
    if not any(one.found for one in ranked):
        return
    yield "RELEASES, as `--release` takes them"
    for one in ranked:
        if one.found:
            words = f"{one.found} of {one.tables} tables, {one.columns} columns"
            yield f"  {one.name:<26} {words} (sum of their likeness {one.share:.1f})"
    best = ranked[0]
    if best.found and best.name != given:
        yield f"  nearest is {best.name}: compare with it by `--release {best.name}`"
