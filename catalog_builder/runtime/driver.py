"""The driver: completes stages, opening a cluster only when there is something to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from distributed import Client, WorkerPlugin

from catalog_builder.config import RunConfig
from catalog_builder.errors import CatalogBuilderError, ClusterError, StoreError
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
    seconds : Counter
        Wall time of each stage in this run.
    """

    def __init__(self, config: RunConfig, workdir: Workdir, events: Events) -> None:
        self.config, self.workdir, self.events = config, workdir, events
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
        """Do what is left of a stage and return the receipts of all its tasks, in order.

        Raises
        ------
        CatalogBuilderError
            If a task failed; the others were completed first, so that nothing good is lost.
        """
        todo = pending(self.workdir, tasks)
        self.events.record("stage", stage=stage.name, planned=len(tasks), pending=len(todo))
        if todo:
            reasons = ", ".join(f"{n} {state}" for state, n in Counter(todo.values()).items())
            self.events.say(f"{stage.name}: {len(todo)} of {len(tasks)} to do ({reasons})")
            self._execute(stage, context, [task for task in tasks if task.name in todo], plugin)
        else:
            self.events.say(f"{stage.name}: complete ({len(tasks)})", detail=True)
        return receipts_of(self.workdir, tasks)

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
        todo = pending(self.workdir, tasks)
        if todo:
            name, state = next(iter(todo.items()))
            raise StoreError(
                f"{stage.name} is not complete: {len(todo)} of {len(tasks)} to do"
                f" (for example {name}: {state}).",
                f"Run `catalog-builder {verb}` (or `run`) first, with the same settings.",
            )
        return receipts_of(self.workdir, tasks)

    def _execute(
        self, stage: Stage, context: Any, tasks: Sequence[Task], plugin: WorkerPlugin | None
    ) -> None:
        if plugin is not None:
            self.client.register_plugin(plugin)
        failures = []
        with self.events.meter(stage.name, total=len(tasks)) as meter:
            for result in execute(self.client, stage, context, self.workdir, tasks):
                if isinstance(result, Failure):
                    failures.append(result)
                    self.events.record(
                        "failure", stage=stage.name, task=result.task.name, reason=result.reason
                    )
                    meter.advance(1, f"{result.task.name} failed")
                    continue
                self.executed[stage.name] += 1
                self.events.record("done", **result.model_dump(mode="json", exclude={"inputs"}))
                meter.advance(1, f"{result.rows_out} rows")
        if failures:
            raise _summary(stage, failures, len(tasks))


def _summary(stage: Stage, failures: Sequence[Failure], planned: int) -> BaseException:
    """Return one error for all failures; a single known one is passed on as it is."""
    first = failures[0]
    if not isinstance(first.error, CatalogBuilderError | OSError) and not _is_lost(first):
        return first.error  # a defect of the program: its traceback helps whoever mends it
    listed = "; ".join(f"{failure.task.name}: {failure.reason}" for failure in failures[:5])
    more = f"; and {len(failures) - 5} more" if len(failures) > 5 else ""
    kind = type(first.error) if isinstance(first.error, CatalogBuilderError) else ClusterError
    return kind(
        f"{stage.name}: {len(failures)} of {planned} tasks failed, the others are done."
        f" {listed}{more}.",
        "Mend the cause and give the same command again: what is done is kept.",
    )


def _is_lost(failure: Failure) -> bool:
    from distributed import KilledWorker

    return isinstance(failure.error, KilledWorker)
