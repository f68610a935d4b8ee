"""How many sources a partition was asked for of which not every row could be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from catalog_builder.features.ledger import Ids
from catalog_builder.runtime.receipts import Receipt

#: How the rows of a table were counted: in its file, in a table that announces them, or not at all.
How = Literal["rows", "announced", "unknown"]

#: Partitions that are named one by one.
_NAMED = 5


class Count(BaseModel):
    """How many sources a partition is known to have been asked for, and whence that is known.

    Attributes
    ----------
    requested : int
        Sources that could be counted.
    tables : dict of str to str
        Of each driving table that has a file: ``rows`` where every row's source was read,
        ``announced`` where another table says who has a row, ``unknown`` where some of its
        rows could not be counted at all. Empty where not one table could be looked at.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    requested: int = Field(ge=0)
    tables: dict[str, How]

    @property
    def is_complete(self) -> bool:
        """Whether every source was counted."""
        return bool(self.tables) and "unknown" not in self.tables.values()

    @property
    def is_unknown(self) -> bool:
        """Whether nothing at all could be counted."""
        return self.requested == 0 and not self.is_complete


def how_counted(*, whole: bool, announced: Ids, announcers_whole: bool) -> How:
    """Say how the rows of a table were counted.

    Parameters
    ----------
    whole : bool
        Whether its file gave all its rows' ids.
    announced : ndarray of int64
        Who has a row in it by what looked-up tables say.
    announcers_whole : bool
        Whether the files of all tables that say so gave all their rows.
    """
    if whole:
        return "rows"
    # A table that has a file is announced for some source; else nothing says who has a row.
    return "announced" if announcers_whole and announced.size else "unknown"


def counts_of(
    features: Sequence[Receipt], census: Sequence[Receipt], given_up: Iterable[str]
) -> dict[str, Count]:
    """Return how sources were counted in each partition with rows that could not be read.

    Parameters
    ----------
    features, census : sequence of Receipt
        Of partitions that were ingested, and of those whose sources could only be counted.
    given_up : iterable of str
        Partitions that could not be ingested: one without a census was not even counted.
    """
    counts = {name: Count(requested=0, tables={}) for name in given_up}
    counts |= {
        receipt.task: Count(requested=receipt.rows_in, tables=receipt.notes["counts"])
        for receipt in (*features, *census)
        if "counts" in receipt.notes
    }
    return dict(sorted(counts.items()))


def gaps_in_words(counts: Mapping[str, Count]) -> list[str]:
    """Say what is missing in the number of requested sources; empty if nothing is."""
    return [*_nothing_known(counts), *_lower_bounds(counts)]


def unknown_in_words(counts: Mapping[str, Count]) -> str:
    """Name the partitions of which nothing could be counted; empty if there are none."""
    return next(_nothing_known(counts), "")


def _nothing_known(counts: Mapping[str, Count]) -> Iterator[str]:
    names = [name for name, count in counts.items() if count.is_unknown]
    if names:
        yield (
            f"an unknown number of sources of {_partitions(names)} is lost: no table that could be"
            " read says who was asked for there."
        )


def _lower_bounds(counts: Mapping[str, Count]) -> Iterator[str]:
    by_tables: dict[str, list[str]] = {}
    for name, count in counts.items():
        if not count.is_complete and not count.is_unknown:
            tables = [table for table, how in count.tables.items() if how == "unknown"]
            by_tables.setdefault(" and ".join(tables), []).append(name)
    for unread, partitions in by_tables.items():
        requested = sum(counts[name].requested for name in partitions)
        yield (
            f"of {_partitions(partitions)} at least {requested} sources were asked for: an unknown"
            f" number of rows of {unread} could not be counted."
        )


def _partitions(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"partition{'s' * (len(names) > 1)} {', '.join(names[:_NAMED])}{more}"
