"""How much bad input a run goes on with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from catalog_builder.archive.rejects import RejectReason
from catalog_builder.features.counts import counts_of, unknown_in_words
from catalog_builder.features.settings import IngestSettings
from catalog_builder.features.stage import table_of
from catalog_builder.ground.errors import InputError
from catalog_builder.runtime.receipts import Receipt

#: Reasons that the release description asks for.
_MEANT = frozenset({RejectReason.BELOW_LEAST_SIG_TO_NOISE})
_LOOK = (
    "`catalog-builder status` lists the reasons. Correct the files and give the same command again,"
    " or raise ingest.max_rejected if they are in order."
)
_ACCEPT = (
    "Correct the files and give the same command again; or give it with --accept-lost, and the"
    " catalogue says that it lacks an unknown number of sources."
)


def refuse_bad_input(
    features: Sequence[Receipt],
    census: Sequence[Receipt],
    given_up: Mapping[str, str],
    settings: IngestSettings,
) -> None:
    """Stop a run that lost too much of its input to be worth going on.

    Parameters
    ----------
    features, census : sequence of Receipt
        Of partitions that were ingested, and of those whose sources could only be counted.
    given_up : mapping of str to str
        Partitions that could not be ingested, and why.
    settings : IngestSettings
        The largest share of sources that may be lost, and whether an unknown number may.

    Raises
    ------
    InputError
        If no source was found, too large a share was rejected, or is perhaps, since of a partition
        not one source could be counted and that was not accepted; or a table gave no single whole
        file: then it is not the files but their description, or a whole checksum list, that is
        wrong, and sources that have another spectrum would go on without this one unnoticed.
    """
    receipts = [*features, *census]
    requested = sum(receipt.rows_in for receipt in receipts)
    rejected = sum(n for each in receipts for why, n in each.rejected.items() if why not in _MEANT)
    example = _example(features, given_up)
    if requested == 0:
        raise InputError(f"The archive's files had no source at all.{example}", _LOOK)
    if rejected > settings.max_rejected * requested:
        raise InputError(
            f"{rejected} of {requested} requested sources were rejected, more than the share of"
            f" {settings.max_rejected:g} that ingest.max_rejected allows.{example}",
            _LOOK,
        )
    unknown = unknown_in_words(counts_of(features, census, given_up))
    if unknown and not settings.accept_lost:
        raise InputError(f"{unknown[0].upper()}{unknown[1:]}{example}", _ACCEPT)
    files = Counter(table_of(name) for receipt in features for name in receipt.inputs)
    bad = Counter(
        incident["table"]
        for receipt in features
        for incident in receipt.notes.get("file_rejects", {}).values()
    )
    for table, count in sorted(bad.items()):
        if count == files[table] > 1:
            raise InputError(f"None of the {count} files of {table} is whole.{example}", _LOOK)


def bad_files_in_words(features: Sequence[Receipt]) -> list[str]:
    """Return a sentence for each file that gave no rows, or not all of them."""
    return [
        f"{name}: {incident['reason']} ({incident['detail']})"
        for receipt in features
        for name, incident in receipt.notes.get("file_rejects", {}).items()
    ]


def _example(features: Sequence[Receipt], given_up: Mapping[str, str]) -> str:
    for name, why in given_up.items():
        return f" For example {name}: {why}"
    for receipt in features:
        for name, incident in receipt.notes.get("file_rejects", {}).items():
            return f" For example {name}: {incident['detail']}"
    return ""
