"""One catalogue to be: what makes it another one, what it accounts for, and what it cannot be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.ground.errors import ConfigError
from catalog_builder.inference.stage import PARTITION_NOT_PREDICTED
from catalog_builder.publish.settings import PublishSettings
from catalog_builder.runtime.receipts import Receipt, file_checksum
from catalog_builder.runtime.workdir import Workdir


@dataclass(frozen=True)
class Edition:
    """One catalogue to be: its place follows from all that it is made of."""

    release: str
    version: str
    digest: str

    @property
    def name(self) -> str:
        """Return the version's folder name: the user's name and the digest."""
        return f"{self.version}-{self.digest[:8]}"

    def folder(self, workdir: Workdir) -> Path:
        """Return where it will stand, sealed."""
        return workdir.catalogs / self.release / self.name


def refuse_other_order(release: ReleaseSpec) -> None:
    """Refuse to publish what need not be in the order of its ids, before any work is done.

    Raises
    ------
    ConfigError
        If the archive's rows are cut by another column.
    """
    column = release.partition.position_column
    if column is not None:
        raise ConfigError(
            f"Release {release.name} is cut by {column} (partition.position_column): a catalogue"
            " is in the order of its ids, which rows cut by another column need not be.",
            "Leave position_column out if ids say where stars lie: those that lie elsewhere are"
            " counted (outside_partition_range). Or stop before: --until predict.",
        )


def compared_by(settings: PublishSettings) -> dict[str, str]:
    """Return what an edition depends on beside its rows and settings: which star is which old one.

    The file of that may be corrected under its name.
    """
    if settings.drift_from is None or settings.drift_crosswalk is None:
        return {}
    return {"drift_crosswalk": file_checksum(Path(settings.drift_crosswalk))}


def accounting(
    features: Sequence[Receipt], census: Sequence[Receipt], predictions: Sequence[Receipt]
) -> dict[str, Any]:
    """Return requested, published and rejected sources over all partitions.

    Parameters
    ----------
    features : sequence of Receipt
        Of the partitions that were ingested.
    census : sequence of Receipt
        Of those that were not, and whose sources were only counted.
    predictions : sequence of Receipt
        Of those that were predicted; stars without a finite answer are rejected there.
    """
    rejected: Counter[str] = Counter()
    for receipt in (*features, *census, *predictions):
        rejected.update(receipt.rejected)
    ingested = sum(receipt.rows_out for receipt in features)
    published = sum(receipt.rows_out for receipt in predictions)
    # The rest is in partitions whose prediction was given up.
    if lost := ingested - sum(receipt.rows_in for receipt in predictions):
        rejected[PARTITION_NOT_PREDICTED] = lost
    return {
        "requested": sum(receipt.rows_in for receipt in (*features, *census)),
        "published": published,
        "rejected": dict(sorted(rejected.items())),
    }
