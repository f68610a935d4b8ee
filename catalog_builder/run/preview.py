"""What of a run is done and what is left, found out without doing anything.

The steps are gone through as in a run, by a driver that looks receipts up and stops at the first
stage with something left: what comes behind it depends on what it will make.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from distributed import WorkerPlugin

from catalog_builder.run.pipeline import Pipeline
from catalog_builder.runtime import quarantine
from catalog_builder.runtime.driver import Driver
from catalog_builder.runtime.receipts import Receipt
from catalog_builder.runtime.tasks import Stage, Task, review


class _SomethingIsLeftError(Exception):
    """Ends a preview: the stages behind cannot be planned yet."""


@dataclass
class _Found:
    """Tasks of the stages of one step: planned, left to do, given up."""

    planned: int = 0
    left: list[str] = field(default_factory=list)
    given_up: int = 0


class PreviewDriver(Driver):
    """A driver that does nothing: it notes what the stages of a run would have to do."""

    works = False

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]
        self.found = _Found()

    def complete(
        self,
        stage: Stage,
        context: object,
        tasks: Sequence[Task],
        plugin: WorkerPlugin | None = None,
    ) -> list[Receipt]:
        """Return the receipts of a stage that is complete, and end the preview at any other."""
        del context, plugin
        again = self._incomplete(stage, tasks) if self.retry_quarantined else ()
        todo = {task.name for task, _ in again}
        out = {} if self.retry_quarantined else quarantine.given_up(self.workdir, tasks)
        kept = [task for task in tasks if task.name not in out]
        found = review(self.workdir, kept)
        self.found.planned += len(tasks)
        self.found.given_up += len(out)
        todo.update(found.todo)
        if todo:
            self.found.left.append(f"{len(todo)} of {len(tasks)} {stage.name} tasks to do")
            raise _SomethingIsLeftError
        return [found.done[task.name] for task in kept]

    def unfinished(self, tasks: Sequence[Task]) -> bool:
        """End the preview where something is left, before anything is made ready for it."""
        if super().unfinished(tasks):
            raise _SomethingIsLeftError
        return False


def state_in_words(pipeline: Pipeline, driver: PreviewDriver, wanted: Sequence[str]) -> str:
    """Say of each step whether it is complete, begun, or all to do.

    Raises
    ------
    CatalogBuilderError
        If the run could not begin, for the reason that it would give.
    """
    lines, open_yet = ["Steps:"], False
    for step in wanted:
        state = "to do"
        if not open_yet:
            driver.found = _Found()
            try:
                pipeline.complete(step)
            except _SomethingIsLeftError:
                open_yet = True
            state = _state(driver.found, complete=not open_yet)
        lines.append(f"  {step:<28} {state}")
    if not open_yet:
        lines.append("Nothing is left to do.")
    return "\n".join(lines)


def _state(found: _Found, *, complete: bool) -> str:
    out = f", {found.given_up} in quarantine" if found.given_up else ""
    if not complete:
        return f"{found.left[0] if found.left else 'to do'}{out}"
    tasks = f" ({found.planned} task{'s' * (found.planned > 1)}{out})" if found.planned else ""
    return f"complete{tasks}"
