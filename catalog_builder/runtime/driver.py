"""The driver: completes stages, opening a cluster only when there is something to do."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Protocol, Self

from distributed import Client, WorkerPlugin
from distributed.comm import CommClosedError

from catalog_builder.ground.errors import ClusterError, StoreError
from catalog_builder.runtime import quarantine, running, signals
from catalog_builder.runtime.clusters.protocol import Cluster
from catalog_builder.runtime.clusters.registry import make_cluster
from catalog_builder.runtime.clusters.settings import ClusterSettings
from catalog_builder.runtime.damage import (
    Damage,
    DamagedStoreError,
    all_damage,
    blame_damage,
    damaged_twice,
)
from catalog_builder.runtime.events import Events
from catalog_builder.runtime.execution import execute, places
from catalog_builder.runtime.performance import saved_report
from catalog_builder.runtime.plans import write_plan
from catalog_builder.runtime.receipts import Receipt, read_receipt
from catalog_builder.runtime.stall import StallWatch, epochs_logged
from catalog_builder.runtime.tasks import Failure, Review, Stage, Task, as_one_error, review
from catalog_builder.runtime.watch import StageWatch
from catalog_builder.runtime.workdir import Workdir, remove_tree, remove_unfinished

#: What the log says of a finished task; its receipt says the rest.
_LOGGED = {"stage", "task", "rows_in", "rows_out", "rejected", "output_digest", "seconds"}


class DriverSettings(Protocol):
    """What a driver has to know of a run's settings."""

    @property
    def cluster(self) -> ClusterSettings:
        """Where workers are from."""

    @property
    def device(self) -> str:
        """Where training runs; no GPU is asked for where it is the CPU."""


class Driver:
    """Carries out the tasks that have no valid receipt.

    Attributes
    ----------
    executed : Counter
        Tasks carried out in this run, by stage.
    remade : dict of (stage, task) to Damage
        Tasks whose output was found damaged in this run, and was discarded.
    works : bool
        Whether anything is done; a preview only looks.
    """

    works = True

    def __init__(
        self,
        config: DriverSettings,
        workdir: Workdir,
        events: Events,
        *,
        retry_quarantined: bool = False,
    ) -> None:
        self.config, self.workdir, self.events = config, workdir, events
        self.retry_quarantined = retry_quarantined
        self.executed: Counter[str] = Counter()
        self.remade: dict[tuple[str, str], Damage] = {}
        #: Tasks that were let out of quarantine, or whose receipt was forgotten, in this run.
        self._tried_again: set[tuple[str, str]] = set()
        self._stack = ExitStack()
        self._cluster: Cluster | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @property
    def client(self) -> Client:
        """The client of the cluster, opened on first use."""
        return self.cluster.client

    @property
    def cluster(self) -> Cluster:
        """The cluster, opened on first use."""
        if self._cluster is None:
            settings = self.config.cluster
            own = settings.kind == "local"
            others = f"Opening a cluster ({settings.kind}) ..."
            self.events.say("Starting workers on this machine ..." if own else others)
            # What an earlier run's killed workers left.
            running.clear(self.workdir)
            remove_unfinished(self.workdir.receipts)
            cluster = make_cluster(settings, self.workdir, self.events)
            self._cluster = self._stack.enter_context(cluster)
            self._stack.callback(self._tell_losses)
            if settings.performance_report:
                file = self.workdir.logs / f"performance-{self.events.run}.html"
                self._stack.enter_context(saved_report(cluster.client, file, self.events.warn))
            dashboard = cluster.dashboard
            self.events.say(f"Dask dashboard: {dashboard}")
            self.events.record("cluster", kind=settings.kind, dashboard=dashboard)
        return self._cluster

    def _tell_losses(self) -> None:
        losses = self.cluster.losses()
        if losses:
            self.events.record("losses", **losses)
            told = "; ".join(f"{name.replace('_', ' ')}: {value}" for name, value in losses.items())
            self.events.say(f"Workers that were lost or replaced: {told}.")

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
        signals.stop_if_told()
        if self.retry_quarantined:
            self._try_again(stage, tasks)
        out = quarantine.given_up(self.workdir, tasks)
        kept = [task for task in tasks if task.name not in out]
        found = review(self.workdir, kept)
        write_plan(self.workdir, stage.name, tasks)
        self.events.record(
            "stage",
            stage=stage.name,
            planned=len(tasks),
            pending=len(found.todo),
            stall_seconds=self.config.cluster.stall_seconds,
        )
        if found.todo:
            self._announce(stage, tasks, found)
            todo = [task for task in kept if task.name in found.todo]
            found.done.update(self._execute(stage, context, todo, plugin))
            out = quarantine.given_up(self.workdir, tasks)
        else:
            self.events.say(f"{stage.name}: complete ({len(kept)})", detail=True)
        for record in out.values():
            self.events.warn(f"{stage.name}/{record.task} is in quarantine: {record.reason}")
        return [found.done[task.name] for task in tasks if task.name not in out]

    def _try_again(self, stage: Stage, tasks: Sequence[Task]) -> None:
        """Let tasks out of quarantine and forget those that went without a file: once in a run."""
        fresh = [task for task in tasks if (task.stage, task.name) not in self._tried_again]
        self._tried_again.update((task.stage, task.name) for task in fresh)
        quarantine.release(self.workdir, fresh)
        for task, receipt in self._incomplete(stage, fresh):
            self.workdir.receipt_file(task.stage, task.name).unlink()
            remove_tree(self.workdir.root / receipt.output)

    def _incomplete(self, stage: Stage, tasks: Sequence[Task]) -> Iterator[tuple[Task, Receipt]]:
        """Yield the tasks of a stage that went without something, with their receipts."""
        if stage.incomplete is None:
            return
        for task in tasks:
            file = self.workdir.receipt_file(task.stage, task.name)
            receipt = read_receipt(file) if file.exists() else None
            if receipt is not None and stage.incomplete(receipt):
                yield task, receipt

    def discard(self, error: DamagedStoreError) -> None:
        """Remove damaged files, so that the tasks that made them are to be done again.

        Raises
        ------
        StoreError
            If one of them was made anew in this run already.
        """
        if again := [one for one in error.damage if (one.stage, one.task) in self.remade]:
            raise damaged_twice(again, self.workdir) from error
        for damage in error.damage:
            self.events.warn(
                f"{damage}; {damage.stage}/{damage.task} is done again",
                event="damage",
                stage=damage.stage,
                task=damage.task,
                file=damage.file,
            )
            remove_tree(self.workdir.root / damage.file)
            self.remade.setdefault((damage.stage, damage.task), damage)

    def remakes(self, tasks: Sequence[Task]) -> bool:
        """Say whether the output of one of the tasks was discarded in this run."""
        return any((task.stage, task.name) in self.remade for task in tasks)

    def unfinished(self, tasks: Sequence[Task]) -> bool:
        """Say whether any of the tasks is left to do."""
        return bool(review(self.workdir, tasks).todo)

    def require(self, stage: Stage, tasks: Sequence[Task], verb: str) -> list[Receipt]:
        """Return the receipts of a stage that must be complete already.

        Raises
        ------
        StoreError
            If it is not, naming the command that completes it.
        """
        out = quarantine.given_up(self.workdir, tasks) if stage.expendable else {}
        kept = [task for task in tasks if task.name not in out]
        found = review(self.workdir, kept)
        if found.todo:
            name, state = next(iter(found.todo.items()))
            raise StoreError(
                f"{stage.name} is not complete: {len(found.todo)} of {len(tasks)} to do"
                f" (for example {name}: {state}).",
                f"Run `catalog-builder {verb}` (or `run`) first, with the same settings.",
            )
        return [found.done[task.name] for task in kept]

    def _announce(self, stage: Stage, tasks: Sequence[Task], found: Review) -> None:
        reasons = ", ".join(
            f"{n} {state}{found.examples(state)}"
            for state, n in Counter(found.todo.values()).items()
        )
        self.events.say(f"{stage.name}: {len(found.todo)} of {len(tasks)} to do ({reasons})")

    def _execute(
        self, stage: Stage, context: Any, tasks: Sequence[Task], plugin: WorkerPlugin | None
    ) -> dict[str, Receipt]:
        cluster = self.cluster
        wanted = "" if self.config.device == "cpu" else stage.prefers
        done: dict[str, Receipt] = {}
        failures: list[Failure] = []
        with (
            cluster.offering(wanted) as client,
            self.events.meter(stage.name, total=len(tasks)) as meter,
            StallWatch(
                self.config.cluster.stall_seconds,
                lambda silent: self._report_stall(stage, silent),
                lambda: epochs_logged(self.workdir),
            ) as watch,
            StageWatch(
                self.workdir,
                self.events,
                meter,
                stage,
                context,
                tasks,
                functools.partial(places, client, stage),
            ) as progress,
        ):
            if plugin is not None:
                self._register(client, plugin, tasks[0])
            for result in self._results(client, stage, context, tasks):
                watch.beat()
                if isinstance(result, Failure):
                    self._note_failure(stage, result, failures)
                    progress.finished(result.task.name, None)
                    continue
                self.executed[stage.name] += 1
                done[result.task] = result
                self.events.record("done", **result.model_dump(mode="json", include=_LOGGED))
                progress.finished(result.task, result)
        if damaged := all_damage(failure.error for failure in failures):
            raise damaged
        if failures:
            raise as_one_error(stage, failures, len(tasks))
        return done

    def _register(self, client: Client, plugin: WorkerPlugin, task: Task) -> None:
        """Have the workers load what all tasks need; once more where one is lost just then."""
        try:
            for left in reversed(range(self.config.cluster.attempts)):
                try:
                    client.register_plugin(plugin)
                except CommClosedError as error:
                    if not left:
                        raise ClusterError(
                            f"Workers are lost while they load what tasks need ({error}).",
                            "Give the same command again; the log of a worker says why it ended.",
                        ) from error
                else:
                    return
        except Exception as error:
            blame_damage(self.workdir, task.needs, error)
            raise

    def _results(
        self, client: Client, stage: Stage, context: Any, tasks: Sequence[Task]
    ) -> Iterator[Receipt | Failure]:
        try:
            if self.cluster.failure is not None:
                raise self.cluster.failure
            yield from execute(client, stage, context, self.workdir, tasks)
        except ClusterError:
            if self.cluster.failure is not None:  # it knows better why the scheduler is gone
                raise self.cluster.failure from None
            raise

    def _note_failure(self, stage: Stage, failure: Failure, failures: list[Failure]) -> None:
        running.clear(self.workdir, stage.name, failure.task.name)
        facts = {"stage": stage.name, "task": failure.task.name, "reason": failure.reason}
        if failure.traceback:
            facts["traceback"] = failure.traceback
        self.events.record("failure", **facts)
        if stage.expendable and failure.is_expendable:
            quarantine.give_up(self.workdir, failure.task, failure.reason)
        else:
            failures.append(failure)

    def _report_stall(self, stage: Stage, silent: float) -> None:
        marks = [
            each.in_words for each in running.running(self.workdir) if each.stage == stage.name
        ]
        at_work = "; ".join(marks[:3]) or "no task is being worked on: are there workers?"
        self.events.warn(
            f"{stage.name}: nothing was finished for {silent:.0f} s ({at_work})",
            event="stall",
            stage=stage.name,
            seconds=round(silent),
        )
