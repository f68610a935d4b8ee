"""What happens in a run: JSON lines in the workdir, and bars or plain lines for a person.

Every line of the log has ``time``, ``run`` and ``event``; the events are ``start`` (wanted steps,
partitions, what says that stars are simulated), ``gate`` (what was seen of the archive before the
ingest), ``queues`` (of a batch system), ``cluster``, ``stage`` (tasks planned and pending),
``progress`` (of the stage, once a minute), ``done`` and ``failure`` (one task each), ``warning``,
``stall``, ``losses`` (workers that went, and what went with them), ``error`` (why the run ended)
and ``end``. The traceback of a defect of the program stands in the log only.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

from catalog_builder.ground.errors import CatalogBuilderError
from catalog_builder.runtime.estimate import duration
from catalog_builder.runtime.redaction import redact, redact_credentials, redact_json

#: Without a terminal, progress is a line at most this often, and where there is none at least
#: that often, so that hours of training are not silent.
PLAIN_SECONDS, QUIET_SECONDS = 15.0, 60.0


class Meter(Protocol):
    """Something that shows how far a stage is."""

    def show(self, done: float, left: float | None, text: str = "") -> None:
        """Show how much of the total is done, and how many seconds are left if that is known."""


class Events:
    """The run's log and its voice.

    Parameters
    ----------
    folder : Path or None
        Where the JSON lines go; None for none (a dry run leaves no trace).
    verbosity : int
        -1 only errors, 0 progress and results, 1 also details.
    """

    def __init__(self, folder: Path | None, verbosity: int = 0) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.verbosity = verbosity
        #: Names this run in its log and in what it writes beside it.
        self.run = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(2)}"
        self._writing = threading.Lock()
        self._file: TextIO | None = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = (folder / f"run-{self.run}.jsonl").open("a", encoding="utf-8")

    def record(self, event: str, **facts: Any) -> None:
        """Write one line into the log, without credentials and home paths.

        A log that cannot be written (a full disk) is given up with a warning: what the run is for
        is not its log.
        """
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        content = {"time": moment, "run": self.run, "event": event, **redact_json(facts)}
        line = json.dumps(content, default=lambda value: redact(str(value)))
        with self._writing:
            if self._file is None:
                return
            try:
                self._file.write(line + "\n")
                self._file.flush()
            except OSError as error:
                with suppress(OSError):  # closing tries to write once more
                    self._file.close()
                self._file = None
                self._print(f"warning: the log cannot be written ({error.strerror})", "yellow")

    def record_error(self, error: BaseException) -> None:
        """Write why the run ends early; the traceback too, where it is a defect of the program."""
        facts: dict[str, Any] = {"kind": type(error).__name__}
        if isinstance(error, CatalogBuilderError):
            facts |= {"problem": error.problem, "way_out": error.way_out}
        else:
            interrupted = "It was interrupted." if isinstance(error, KeyboardInterrupt) else ""
            facts["problem"] = str(error) or interrupted or type(error).__name__
            if isinstance(error, Exception):
                facts["traceback"] = "".join(traceback.format_exception(error))
        self.record("error", **facts)

    def say(self, text: str, *, detail: bool = False) -> None:
        """Tell the person; details only when asked for."""
        if self.verbosity >= (1 if detail else 0):
            self._print(text)

    def warn(self, text: str, *, event: str = "warning", **facts: Any) -> None:
        """Tell the person something that they should look at, and log it."""
        self.record(event, text=text, **facts)
        self._print(f"warning: {text}", "yellow")

    @contextmanager
    def meter(
        self, title: str, total: float, in_words: Callable[[float], str] = "{:.0f}".format
    ) -> Iterator[Meter]:
        """Show progress of a stage: a bar on a terminal, else a line now and then.

        `in_words` says how much of the total is done: a number by default.
        """
        if self.verbosity < 0:
            yield _Silent()
        elif self.console.is_terminal:
            with Progress(
                TextColumn("{task.description:<14}"),
                BarColumn(),
                TextColumn("{task.fields[count]}"),
                TimeElapsedColumn(),
                TextColumn("{task.fields[left]}"),
                TextColumn("{task.fields[text]}"),
                console=self.console,
            ) as progress:
                task = progress.add_task(title, total=total, count="", left="", text="")
                yield _Bar(progress, task, in_words)
        else:
            yield _Lines(self, title, total, in_words)

    def close(self) -> None:
        """Close the log."""
        with self._writing:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _print(self, text: str, style: str | None = None) -> None:
        self.console.print(redact_credentials(text), style=style, soft_wrap=True, markup=False)


class _Silent:
    def show(self, done: float, left: float | None, text: str = "") -> None:
        del done, left, text


class _Bar:
    def __init__(self, progress: Progress, task: Any, in_words: Callable[[float], str]) -> None:
        self._progress, self._task, self._in_words = progress, task, in_words

    def show(self, done: float, left: float | None, text: str = "") -> None:
        total = self._progress.tasks[self._task].total or 0.0
        self._progress.update(
            self._task,
            completed=done,
            count=f"{self._in_words(done)} of {self._in_words(total)}",
            left="so far" if left is None else f"so far, about {duration(left)} left",
            text=text,
        )


class _Lines:
    def __init__(
        self, events: Events, title: str, total: float, in_words: Callable[[float], str]
    ) -> None:
        self._events, self._title, self._total, self._in_words = events, title, total, in_words
        self._done = 0.0
        self._begin = self._last = time.monotonic()

    def show(self, done: float, left: float | None, text: str = "") -> None:
        now = time.monotonic()
        ended = done >= self._total > self._done
        waited = PLAIN_SECONDS if done > self._done else QUIET_SECONDS
        if not ended and (now - self._last < waited or done >= self._total):
            return
        self._last, self._done = now, done
        spent = duration(now - self._begin)
        spent = f"in {spent}" if ended else f"{spent} so far"
        about = "" if left is None or ended else f", about {duration(left)} left"
        self._events.say(
            f"{self._title}: {self._in_words(done)} of {self._in_words(self._total)}, {spent}"
            f"{about}{f' ({text})' if text else ''}"
        )
