"""Start Python programs without their imports: forks of a process that has done them already.

Most of a small run is imports: of the driver, and of each worker. A test that looks at what becomes
of a run when something dies needs real processes, but not their first seconds. So a process that
has everything imported and no thread waits here, and each program is a fork of it: with a session,
environment, signals, streams and an exit code of its own. Its Dask workers are forks as well, by
multiprocessing's own fork server. `make faults` and the tests of interruptions start programs as
people do.

Run as a program it is the waiting process: ``python warm.py SOCKET``.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from catalog_builder.runtime.clusters.local import WORKER_ENVIRONMENT

#: What drivers and workers import sooner or later.
MODULES = (
    *(
        "catalog_builder.cli.program",
        "catalog_builder.run.runs",
        "catalog_builder.catalog.validate",
    ),
    *("catalog_builder.training.assemble", "catalog_builder.training.fit_scaling"),
    *(
        "catalog_builder.model.fit.member",
        "catalog_builder.model.ensemble",
        "catalog_builder.model.select.map",
    ),
    *("catalog_builder.inference.predict", "catalog_builder.inference.worker_model"),
    *("catalog_builder.report.page", "distributed.nanny", "distributed.cli.dask_worker"),
    *("distributed.cli.dask_scheduler", "distributed.http.scheduler.info", "dask.cli"),
    *("distributed.dashboard.scheduler", "astropy.io.votable.ucd", "astropy.table", "astropy.time"),
)
#: Threads that may be there when a process forks: they wait, and hold nothing.
IDLE = {"jemalloc_bg_thd", "polars-ooc-clea"}

#: How a number travels.
NUMBER = struct.Struct("q")


class Process:
    """A program that was started, with those of `subprocess.Popen`'s ways that tests need."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self._connection, self.pid = connection, pid
        self.returncode: int | None = None
        self.stdout: Any = None

    def poll(self) -> int | None:
        """Return the exit code, or None while the program runs."""
        return self._look(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; return the exit code, negative after a signal."""
        if self._look(timeout) is None:
            raise subprocess.TimeoutExpired("the program", timeout or 0.0)
        return self.returncode or 0

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._connection], [], [], timeout)[0]:
            self.returncode = _receive(self._connection)
            self._connection.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the program has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End the program at once."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        """Read standard output to its end and wait."""
        with self.stdout:
            said = self.stdout.read()
        self.wait(timeout)
        return said, None


class Warm:
    """The process that waits, and what is started from it."""

    def __init__(self) -> None:
        # Not in a test's own folder: the address of a socket has a hundred letters at most.
        self._folder = tempfile.TemporaryDirectory(prefix="warm-")
        self._address = str(Path(self._folder.name) / "socket")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self._address)
            listener.listen()
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(listener.fileno())],
                env={**os.environ, **WORKER_ENVIRONMENT},
                pass_fds=[listener.fileno()],
            )

    def close(self) -> None:
        """End the waiting process; what was started from it has ended before."""
        self._process.terminate()
        self._process.wait()
        self._folder.cleanup()

    def Popen(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdout: Any = None,
        stderr: Any = None,
        text: bool = True,
        start_new_session: bool = False,
    ) -> Process:
        """Start ``python -m MODULE ...`` or ``python -c CODE ...``, as `subprocess.Popen` does."""
        del text
        read = None
        if stdout == subprocess.PIPE:
            read, stdout = os.pipe()
        streams = [0, _number(stdout, 1), _number(stderr, 2)]
        request = {
            "arguments": list(command[1:]),
            "env": dict(os.environ if env is None else env),
            "cwd": str(Path.cwd()),
            "session": start_new_session,
            "folder": self._folder.name,
        }
        content = json.dumps(request).encode()
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self._address)
        socket.send_fds(connection, [NUMBER.pack(len(content))], streams)
        connection.sendall(content)
        process = Process(connection, _receive(connection))
        if read is not None:
            os.close(stdout)
            process.stdout = os.fdopen(read)
        return process

    def run(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **as_always: Any,
    ) -> subprocess.CompletedProcess:
        """Run a program to its end, as `subprocess.run` does, and return what it said."""
        del as_always  # text, and no check
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            process = self.Popen(command, env=env, stdout=out, stderr=err)
            try:
                process.wait(timeout)
            finally:
                process.kill()
            for each in (out, err):
                each.seek(0)
            return subprocess.CompletedProcess(command, process.returncode, out.read(), err.read())


@contextmanager
def forked_workers(modules: Sequence[str] = MODULES) -> Iterator[None]:
    """Have the workers of clusters that this process opens forked from one that has all imported.

    That one lives as long as this process: where it is there already, it stays as it is.
    """
    from multiprocessing import forkserver

    import dask
    from distributed import utils

    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        before, utils._forkserver_preload_set = utils._forkserver_preload_set, True
        forkserver.set_forkserver_preload(list(modules))
        own = {name: os.environ.get(name) for name in WORKER_ENVIRONMENT}
        os.environ.update(WORKER_ENVIRONMENT)
        try:
            forkserver.ensure_running()
        finally:
            for name, value in own.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value
        try:
            yield
        finally:
            utils._forkserver_preload_set = before


def _receive(connection: socket.socket) -> int:
    said = connection.recv(NUMBER.size)
    if not said:
        raise RuntimeError("the waiting process is gone")
    return int(NUMBER.unpack(said)[0])


def _number(stream: Any, default: int) -> int:
    if stream is None:
        return default
    return stream if isinstance(stream, int) else stream.fileno()


# --- the waiting process --------------------------------------------------------------------------


def serve(listener: socket.socket) -> None:
    """Fork a program for each request; tell its number, and how it ended."""
    programs: dict[int, socket.socket] = {}
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    while True:
        ready, _, _ = select.select([listener, woken], [], [])
        if woken in ready:
            os.read(woken, 1024)
            while programs:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    break
                # Nobody may wait for the end of a program any more.
                with suppress(OSError), programs.pop(pid) as connection:
                    connection.sendall(NUMBER.pack(os.waitstatus_to_exitcode(status)))
        if listener in ready:
            connection, _ = listener.accept()
            packed, streams, _, _ = socket.recv_fds(connection, NUMBER.size, 3)
            (size,) = NUMBER.unpack(packed)
            content = b""
            while len(content) < size:
                content += connection.recv(1 << 16)
            pid = os.fork()
            if pid == 0:
                for each in (listener, connection, *programs.values()):
                    each.close()
                os.close(woken)
                os.close(wake)
                _become(json.loads(content), streams)
            for stream in streams:
                os.close(stream)
            programs[pid] = connection
            connection.sendall(NUMBER.pack(pid))


def _become(request: dict[str, Any], streams: Sequence[int]) -> None:
    """Be the program that was asked for, to its end."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if request["session"]:
            os.setsid()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["env"])
        _fork_workers_too(request["folder"])
        code = _run(request["arguments"])
    finally:
        os._exit(code)


def _fork_workers_too(folder: str) -> None:
    """Have Dask's workers forked by a fork server that is a fork of this process itself."""
    from multiprocessing import connection, forkserver, process

    import dask
    from distributed import utils

    dask.config.refresh()  # the environment is another one now
    dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"})
    utils._forkserver_preload_set = True  # everything is imported here
    process.current_process()._config["tempdir"] = folder  # which lives longer
    address = connection.arbitrary_address("AF_UNIX")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    alive, held = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(held)
        # As the program's own threads, from which workers come, have it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
        try:
            forkserver.main(listener.detach(), alive, [])
        finally:
            os._exit(0)
    listener.close()
    os.close(alive)
    server = forkserver._forkserver
    server._forkserver_address, server._forkserver_alive_fd = address, held
    server._forkserver_pid = pid


def _run(arguments: Sequence[str]) -> int:
    """Do what ``python ARGUMENTS`` does; return its exit code."""
    import atexit
    import runpy
    import threading
    import traceback

    kind, what, *rest = arguments
    sys.argv = [what if kind == "-m" else kind, *rest]
    code: Any = 0
    try:
        if kind == "-m":
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - as the interpreter does at the end of a program
        traceback.print_exc()
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    return code if isinstance(code, int) else int(code is not None)


if __name__ == "__main__":
    import importlib

    # From Python 3.12 on a fork beside the threads that are `IDLE` warns.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    for module in MODULES:
        importlib.import_module(module)
    tasks = [task for task in Path("/proc/self/task").glob("*") if task.name != str(os.getpid())]
    if strange := {(task / "comm").read_text().strip() for task in tasks} - IDLE:
        sys.exit(f"Importing {MODULES} starts the threads {strange}: it cannot be forked.")
    gc.freeze()  # what is here stays, and its pages are shared: the collector need not touch them
    serve(socket.socket(fileno=int(sys.argv[1])))
