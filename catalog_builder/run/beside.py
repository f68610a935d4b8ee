"""Tables beside a catalogue: which there will be, and where the values for them are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from catalog_builder.catalog import origins
from catalog_builder.contract.side_table import IDENTIFIERS, SideTable
from catalog_builder.features import repeated
from catalog_builder.publish.identifiers import identifiers_table
from catalog_builder.run.protocol import Run
from catalog_builder.runtime.receipts import Receipt


@dataclass(frozen=True)
class Beside:
    """What lies beside a catalogue with a row for each of its rows.

    Attributes
    ----------
    tables : tuple of SideTable
        The declarations.
    values : dict of str to dict of str to Receipt
        By the name of a table and of a partition: the task that looked its values up. Words of
        identifiers are in the features.
    """

    tables: tuple[SideTable, ...] = ()
    values: Mapping[str, Mapping[str, Receipt]] = field(default_factory=dict)

    @property
    def receipts(self) -> list[Receipt]:
        """Return those of the tasks that looked values up."""
        looked_up = (by_part for name, by_part in self.values.items() if name != IDENTIFIERS)
        return [receipt for by_part in looked_up for receipt in by_part.values()]

    @property
    def facts(self) -> dict[str, Any]:
        """Return what an edition depends on."""
        if not self.tables:
            return {}
        digests = [receipt.output_digest for receipt in self.receipts]
        return {"beside": [[table.digest for table in self.tables], digests]}


def tables_beside(run: Run) -> Beside:
    """Look up the values of the archive that a catalogue repeats, where they are wanted.

    Words for identifiers lie beside every catalogue that has keys in their place.
    """
    context = repeated.RepeatContext(run.workdir, run.release, run.config.ingest)
    tables: list[SideTable] = []
    values: dict[str, dict[str, Receipt]] = {}
    if (words := identifiers_table(run.release)) is not None:
        tables.append(words)
        values[words.name] = {receipt.task: receipt for receipt in run.features}
    wanted = run.release.beside if run.config.publish.beside else {}
    for name, rule in wanted.items():
        partitions = repeated.partitions_with(run.archive, run.release, rule, run.partitions)
        if not partitions:
            continue
        tasks = repeated.plan(partitions, run.features, run.release, name, run.config.ingest)
        tasks = origins.of_same_stars(tasks, run.features)
        receipts = run.step("publish", repeated.STAGE, context, tasks)
        tables.append(rule.declared(name))
        # One in quarantine has no receipt: the values of its partition are null.
        made = {receipt.task: receipt for receipt in receipts}
        values[name] = {
            feature.task: made[task]
            for feature in run.features
            if (task := repeated.task_of(name, feature)) in made
        }
        for file, said in sorted(_files(receipts).items()):
            run.driver.events.warn(f"{file}: {said['detail']}; its values are null in {name}")
    return Beside(tuple(tables), values)


def _files(receipts: list[Receipt]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for receipt in receipts:
        found.update(receipt.notes.get("file_rejects", {}))
    return found
