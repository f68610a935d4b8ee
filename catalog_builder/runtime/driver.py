"""The driver: completes stages, opening a cluster only when there is something to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from distributed import Client, WorkerPlugin

from catalog_builder.config import RunConfig
from catalog_builder.errors import CatalogBuilderError, ClusterError, InputError, StoreError
from catalog_builder.runtime import quarantine
from catalog_builder.runtime.clusters import open_cluster
from catalog_builder.runtime.events import Events
from catalog_builder.runtime.receipts import Receipt
from catalog_builder.runtime.tasks import Failure, Stage, Task, execute, pending, receipts_of
from catalog_builder.runtime.workdir import Workdir


class Driver:
    """Carries out the tasks that have no valid receipt.

    Attributes
    ----------
    executed : Counter
        Tasks carried out in this run, by stage.
    """

    def __init__(
        self,
        config: RunConfig,
        workdir: Workdir,
        events: Events,
        *,
        retry_quarantined: bool = False,
    ) -> None:
        self.config, self.workdir, self.events = config, workdir, events
        self.retry_quarantined = retry_quarantined
        self.executed: Counter[str] = Counter()
        self._stack = ExitStack()
        self._client: Client | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def client(self) -> Client:
        """The client of the cluster, opened on first use."""
        if self._client is None:
            settings = self.config.cluster
            self.events.say(f"Opening a cluster ({settings.kind}) ...", detail=True)
            self._client = self._stack.enter_context(open_cluster(settings, self.workdir))
            self.events.say(f"Dask dashboard: {self._client.dashboard_link}")
            self.events.record("cluster", kind=settings.kind)
        return self._client

    def complete(
        self, stage: Stage, context: Any, tasks: Sequence[Task], plugin: WorkerPlugin | None = None
    ) -> list[Receipt]:
        """Do what is left of a stage and return the receipts of its tasks, in order.

        Tasks of a stage that may lose some (`stage.expendable`) go into quarantine when their input
        is at fault or they keep killing their worker, and have no receipt in the result.

        Raises
        ------
        CatalogBuilderError
            If a task failed; the others were completed first, so that nothing good is lost.
        """
        if self.retry_quarantined:
            quarantine.release(self.workdir, tasks)
        out = quarantine.given_up(self.workdir, tasks)
        kept = [task for task in tasks if task.name not in out]
        todo = pending(self.workdir, kept)
        self.events.record("stage", stage=stage.name, planned=len(tasks), pending=len(todo))
        if todo:
            reasons = ", ".join(f"{n} {state}" for state, n in Counter(todo.values()).items())
            self.events.say(f"{stage.name}: {len(todo)} of {len(tasks)} to do ({reasons})")
            self._execute(stage, context, [task for task in kept if task.name in todo], plugin)
        else:
            self.events.say(f"{stage.name}: complete ({len(kept)})", detail=True)
        out = quarantine.given_up(self.workdir, tasks)
        for record in out.values():
            self.events.warn(f"{stage.name}/{record.task} is in quarantine: {record.reason}")
        return receipts_of(self.workdir, [task for task in tasks if task.name not in out])

    def unfinished(self, tasks: Sequence[Task]) -> bool:
        """Say whether any of the tasks is left to do."""
        return bool(pending(self.workdir, tasks))

    def require(self, stage: Stage, tasks: Sequence[Task], verb: str) -> list[Receipt]:
        """Return the receipts of a stage that must be complete already.

        Raises
        ------
        StoreError
            If it is not, naming the command that completes it.
        """
        out = quarantine.given_up(self.workdir, tasks) if stage.expendable else {}
        kept = [task for task in tasks if task.name not in out]
        todo = pending(self.workdir, kept)
        if todo:
            name, state = next(iter(todo.items()))
            raise StoreError(
                f"{stage.name} is not complete: {len(todo)} of {len(tasks)} to do"
                f" (for example {name}: {state}).",
                f"Run `catalog-builder {verb}` (or `run`) first, with the same settings.",
            )
        return receipts_of(self.workdir, kept)

    def _execute(
        self, stage: Stage, context: Any, tasks: Sequence[Task], plugin: WorkerPlugin | None
    ) -> None:
        if plugin is not None:
            self.client.register_plugin(plugin)
        failures: list[Failure] = []
        with self.events.meter(stage.name, total=len(tasks)) as meter:
            for result in execute(self.client, stage, context, self.workdir, tasks):
                if isinstance(result, Failure):
                    self._note_failure(stage, result, failures)
                    meter.advance(1, f"{result.task.name} failed")
                    continue
                self.executed[stage.name] += 1
                self.events.record("done", **result.model_dump(mode="json", exclude={"inputs"}))
                meter.advance(1, f"{result.rows_out} rows")
        if failures:
            raise _summary(stage, failures, len(tasks))

    def _note_failure(self, stage: Stage, failure: Failure, failures: list[Failure]) -> None:
        self.events.record(
            "failure", stage=stage.name, task=failure.task.name, reason=failure.reason
        )
        if stage.expendable and (failure.lost_worker or isinstance(failure.error, InputError)):
            quarantine.give_up(self.workdir, failure.task, failure.reason)
        else:
            failures.append(failure)


def _summary(stage: Stage, failures: Sequence[Failure], planned: int) -> BaseException:
    """Return one error for all failures; a defect of the program is passed on as it is."""
    first = failures[0]
    if not (first.lost_worker or isinstance(first.error, CatalogBuilderError | OSError)):
        return first.error  # its traceback helps whoever mends it
    listed = "; ".join(f"{failure.task.name}: {failure.reason}" for failure in failures[:5])
    more = f"; and {len(failures) - 5} more" if len(failures) > 5 else ""
    problem = (
        f"{stage.name}: {len(failures)} of {planned} tasks failed, the others are done."
        f" {listed}{more}"
    )
    way_out = "Mend the cause and give the same command again: what is done is kept."
    if isinstance(first.error, CatalogBuilderError):
        return type(first.error)(problem, way_out)
    return ClusterError(problem, way_out) if first.lost_worker else StoreError(problem, way_out)
