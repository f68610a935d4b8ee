"""An emulated cluster, as a test has it: kubectl, a site's own overlay, and a look at the node."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import yaml

from tests.kubernetes.manifests import OVERLAYS, ROOT, kubectl

#: The smallest run that goes all the way.
TINY = {
    "release": "dr3",
    "archive": "/archive",
    "workdir": "/workdir",
    "cluster": {"kind": "kubernetes", "performance_report": False},
    "model": {"members": 1, "folds": 0, "epochs": 1, "min_label_stars": 20, "min_regime_stars": 10},
}


def missing() -> str:
    """Return what this machine lacks for an emulated cluster; empty if nothing."""
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    lacking = [name for name in ("bwrap", "ip", "unshare", "nsenter") if not shutil.which(name)]
    return f"needs {', '.join(lacking)}" if lacking else "" if kubectl() else "needs kubectl"


class Site:
    """A cluster, and a folder for the overlays of its user."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.folder, self.process = folder, process
        self.run = folder / "run"
        self.claims, self.logs = self.run / "claims", self.run / "logs"
        (inside,) = psutil.Process(process.pid).children()
        self.enter = ["nsenter", "--target", str(inside.pid), "--net"]
        # A kubectl for everybody who looks for one on the PATH.
        self.bin = folder / "bin"
        self.bin.mkdir()
        shim = self.bin / "kubectl"
        configuration = f"KUBECONFIG={self.run / 'kubeconfig'}"
        shim.write_text(
            f'#!/bin/sh\nexec env {configuration} {" ".join(self.enter)} {kubectl()} "$@"\n'
        )
        shim.chmod(0o755)

    def kubectl(self, *arguments: str, **options: Any) -> str:
        """Run kubectl and return what it says."""
        command = [str(self.bin / "kubectl"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
        if done.returncode:
            raise RuntimeError(f"{' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def listed(self, kind: str) -> list[dict[str, Any]]:
        """Return the objects of a kind in the run's namespace."""
        found = yaml.safe_load(self.kubectl("get", kind, "--namespace=catalog", "--output=yaml"))
        return list(found["items"])

    def overlay(self, name: str, *operations: dict[str, Any], **settings: Any) -> Path:
        """Write what a user would: an overlay of ours with his own settings and sizes."""
        folder = self.folder / name.replace("/", "-")
        folder.mkdir()
        (folder / "run.yaml").write_text(yaml.safe_dump({**TINY, **settings}))
        target = {"kind": "DaskJob"}
        content = {
            "resources": [os.path.relpath(OVERLAYS / name, folder)],
            "generatorOptions": {"disableNameSuffixHash": True},
            "configMapGenerator": [
                {
                    "name": "catalog-config",
                    "namespace": "catalog",
                    "behavior": "merge",
                    "files": ["run.yaml"],
                }
            ],
            "patches": [{"target": target, "patch": yaml.safe_dump(list(operations))}]
            if operations
            else [],
        }
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(content))
        return folder

    def apply(self, folder: Path) -> None:
        """Send an overlay. The emulated server has no schemas that kubectl could ask it for."""
        self.kubectl("apply", "--validate=false", "--kustomize", str(folder))

    def make_secret(self) -> None:
        """Make the certificates as docs/kubernetes.md says."""
        script = ROOT / "deploy" / "kubernetes" / "make-secret.sh"
        path = {**os.environ, "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}"}
        made = subprocess.run([script], env=path, capture_output=True, text=True, check=True)
        self.kubectl("apply", "--validate=false", "--filename=-", input=made.stdout)

    def log(self, pod: str) -> str:
        """Return what the first pod of that name has printed."""
        found = next(iter(self.logs.glob(f"{pod}*.log")), None)
        return "" if found is None else found.read_text()

    def wait(self, what: str, done: Callable[[], Any], seconds: float = 600.0) -> Any:
        """Wait until something is so, and return it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"{what}: the emulated cluster has ended")
            found = done()
            if found:
                return found
            time.sleep(0.5)
        printed = {file.name: file.read_text()[-2000:] for file in self.logs.iterdir()}
        operator = (self.run / "operator.log").read_text()[-2000:]
        raise TimeoutError(f"{what}: not within {seconds:g} s\n{printed}\n{operator}")

    def finish(self, job: str) -> str:
        """Wait for the end of a DaskJob and of its cluster, and return how it ended."""

        def ended() -> str:
            (found,) = [each for each in self.listed("daskjobs") if each["metadata"]["name"] == job]
            status = str(found.get("status", {}).get("jobStatus", ""))
            return status if status in ("Successful", "Failed") else ""

        status = str(self.wait(f"the end of {job}", ended))
        self.wait("the end of its cluster", lambda: not self.listed("deployments"))
        return status

    def kill(self, argument: str) -> int:
        """Kill the processes with an argument, without warning, as a lack of memory does."""
        return self._signal(argument, signal.SIGKILL)

    def hold(self, argument: str) -> int:
        """Stop the processes with an argument where they are; `release` lets them go on."""
        return self._signal(argument, signal.SIGSTOP)

    def release(self, argument: str) -> int:
        """Let held processes go on."""
        return self._signal(argument, signal.SIGCONT)

    def _signal(self, argument: str, number: signal.Signals) -> int:
        reached = 0
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if argument in process.cmdline():
                    process.send_signal(number)
                    reached += 1
            except psutil.NoSuchProcess:
                continue
        return reached

    def inside(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command on the node, where the addresses of pods are reached."""
        return subprocess.run(
            [*self.enter, *command], capture_output=True, text=True, check=False, timeout=60
        )


@contextmanager
def emulated(folder: Path, gpus: int = 1) -> Iterator[Site]:
    """Run an emulated cluster with the Dask operator on it."""
    namespaces = ("--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
    program = (sys.executable, "-m", "tests.kubernetes.emulator", str(folder / "run"), str(gpus))
    with subprocess.Popen(
        ["unshare", *namespaces, *program], cwd=ROOT, stdout=subprocess.PIPE
    ) as process:
        try:
            if process.stdout is None or process.stdout.readline() != b"ready\n":
                raise RuntimeError("the emulated cluster does not start")
            yield Site(folder, process)
        finally:
            process.kill()  # unshare ends its child, and with it every process in there
