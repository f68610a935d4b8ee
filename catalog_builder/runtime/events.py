"""What happens in a run: JSON lines in the workdir, and bars or plain lines for a person.

Every line of the log has ``time``, ``run`` and ``event``; the events are ``start`` (wanted steps,
partitions), ``queues`` (of a batch system), ``cluster``, ``stage`` (tasks planned and pending),
``done`` and ``failure`` (one task each), ``warning``, ``stall``, ``losses`` (workers that went, and
what went with them), ``error`` (why the run ended) and ``end``. The traceback of a defect of the
program stands in the log only.
"""

from __future__ import annotations

import json
import secrets
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from catalog_builder.errors import CatalogBuilderError
from catalog_builder.runtime.redaction import redact, redact_credentials, redact_json

#: Without a terminal, progress is a line at most this often.
PLAIN_SECONDS = 15.0


class Meter(Protocol):
    """Something that shows how far a stage is."""

    def advance(self, weight: float, text: str = "") -> None:
        """Take note of work done."""


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
    def meter(self, title: str, total: float) -> Iterator[Meter]:
        """Show progress of a stage: a bar on a terminal, else a line now and then."""
        if self.verbosity < 0:
            yield _Silent()
        elif self.console.is_terminal:
            with Progress(
                TextColumn("{task.description:<14}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[text]}"),
                console=self.console,
            ) as progress:
                yield _Bar(progress, progress.add_task(title, total=total, text=""))
        else:
            yield _Lines(self, title, total)

    def close(self) -> None:
        """Close the log."""
        with self._writing:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _print(self, text: str, style: str | None = None) -> None:
        self.console.print(redact_credentials(text), style=style, soft_wrap=True, markup=False)


class _Silent:
    def advance(self, weight: float, text: str = "") -> None:
        del weight, text


class _Bar:
    def __init__(self, progress: Progress, task: Any) -> None:
        self._progress, self._task = progress, task

    def advance(self, weight: float, text: str = "") -> None:
        self._progress.update(self._task, advance=weight, text=text)


class _Lines:
    def __init__(self, events: Events, title: str, total: float) -> None:
        self._events, self._title, self._total = events, title, total
        self._done = 0.0
        self._begin = self._last = time.monotonic()

    def advance(self, weight: float, text: str = "") -> None:
        self._done += weight
        now = time.monotonic()
        if now - self._last < PLAIN_SECONDS and self._done < self._total:
            return
        self._last = now
        spent = now - self._begin
        left = spent / self._done * (self._total - self._done) if self._done else float("nan")
        self._events.say(
            f"{self._title}: {self._done:.0f}/{self._total:.0f}, {spent:.0f} s"
            f"{f', about {left:.0f} s left' if self._done < self._total else ''}"
            f"{f' ({text})' if text else ''}"
        )


def is_interactive() -> bool:
    """Say whether a person watches standard error."""
    return sys.stderr.isatty()
