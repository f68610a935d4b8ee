"""The one node: a pod is a process with an address and a file system of its own.

Needs root (`ip netns`) and bubblewrap. Each pod has a network namespace with one address on a
bridge, so its loopback is its own; the root is read-only, and only what the pod mounts from
emptyDirs and claims can be written; it runs as the user the pod asks for, who is in no passwd file.
"""

from __future__ import annotations

import asyncio
import base64
import re
import shutil
import site
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.kubernetes.emulator.objects import (
    CONFIG_MAPS,
    PODS,
    SECRETS,
    SERVICES,
    Object,
    Store,
    now,
)
from tests.kubernetes.manifests import ROOT

BRIDGE = "pods"
#: A pod that ended by itself is started again after so long; Kubernetes begins with 10 s.
RESTART_SECONDS = 1.0
GPU = "nvidia.com/gpu"
#: The host's folders that a pod sees beside its mounts: there is no image.
SYSTEM = ("/usr", "/etc", "/sys")


@dataclass
class Running:
    """A pod on the node."""

    task: asyncio.Task[None]
    address: str
    gpus: int
    name: str
    process: asyncio.subprocess.Process | None = field(default=None)


class Kubelet:
    """Starts, probes, restarts and ends the processes of pods."""

    def __init__(self, store: Store, folder: Path, gpus: int) -> None:
        self.store, self.folder, self.gpus = store, folder, gpus
        self.logs = folder / "logs"
        self.claims = folder / "claims"
        self.hosts = folder / "hosts"
        for made in (self.logs, self.claims):
            made.mkdir(parents=True)
        self.hosts.touch()
        self.running: dict[str, Running] = {}
        self._addresses = iter(range(2, 1 << 16))
        self._one_at_a_time = asyncio.Lock()
        #: Done when something of the node itself fails, with the reason.
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def sync(self) -> None:
        """Start the pods that should run, end those that should not; names follow addresses."""
        wanted = {pod["metadata"]["uid"]: pod for pod in self.store.all(PODS)}
        for uid, here in list(self.running.items()):
            if uid not in wanted:
                here.task.cancel()
        for uid, pod in wanted.items():
            if uid not in self.running:
                self._place(uid, pod)
        self._write_hosts()

    def _place(self, uid: str, pod: Object) -> None:
        containers = pod["spec"]["containers"]
        need = sum(
            int(each.get("resources", {}).get("limits", {}).get(GPU, 0)) for each in containers
        )
        if need > self.gpus - sum(here.gpus for here in self.running.values()):
            condition = {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": f"0/1 nodes are available: 1 Insufficient {GPU}.",
            }
            self.store.set_status(PODS, pod, {"phase": "Pending", "conditions": [condition]})
            return
        number = next(self._addresses)
        address = f"10.77.{number >> 8}.{number & 255}"
        task = asyncio.create_task(self._live(uid, pod, f"pod{number}", address))
        task.add_done_callback(self._note_failure)
        self.running[uid] = Running(task, address, need, f"pod{number}")

    def _note_failure(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not self.failure.done():
            self.failure.set_exception(error)

    def _write_hosts(self) -> None:
        lines = ["127.0.0.1 localhost"]
        for service in self.store.all(SERVICES):
            meta, chosen = service["metadata"], service["spec"].get("selector") or {}
            for pod in self.store.all(PODS, meta["namespace"]):
                here = self.running.get(pod["metadata"]["uid"])
                labels = pod["metadata"].get("labels") or {}
                if here and chosen.items() <= labels.items():
                    full = f"{meta['name']}.{meta['namespace']}.svc.cluster.local"
                    lines.append(f"{here.address} {meta['name']} {full}")
        text = "\n".join(lines) + "\n"
        if text != self.hosts.read_text():
            self.hosts.write_text(text)  # in place: the pods have this very file as /etc/hosts

    # --- one pod -------------------------------------------------------------------------------

    async def _live(self, uid: str, pod: Object, name: str, address: str) -> None:
        folder = self.folder / "pods" / uid
        try:
            async with self._one_at_a_time:  # `ip netns add` races with itself
                await _network(name, address)
            sandbox = await self._sandbox(pod, name, folder)
            await self._run(uid, pod, sandbox, address)
        finally:
            await _call("ip", "netns", "delete", name)
            shutil.rmtree(folder, ignore_errors=True)
            if uid in {each["metadata"]["uid"] for each in self.store.all(PODS)}:
                self.running[uid].gpus = 0  # it ended, and stays to be looked at
            else:
                del self.running[uid]

    async def _run(self, uid: str, pod: Object, sandbox: list[str], address: str) -> None:
        spec, container = pod["spec"], pod["spec"]["containers"][0]
        environment = dict(_environment(pod, container, address))
        command = [_expanded(part, environment) for part in _command(container)]
        log = (self.logs / f"{pod['metadata']['name']}.log").open("ab")
        start = [*sandbox, *_assignments(environment), *command]
        here, restarts = self.running[uid], 0
        while True:
            process = await asyncio.create_subprocess_exec(*start, stdout=log, stderr=log)
            here.process = process
            report = _Report(self.store, pod, address, restarts)
            probes = asyncio.create_task(
                self._probe(report, container, [*sandbox, *_assignments(environment)])
            )
            try:
                code = await process.wait()
            except asyncio.CancelledError:
                await _end(process, spec.get("terminationGracePeriodSeconds", 30))
                raise
            finally:
                probes.cancel()
            if spec.get("restartPolicy", "Always") == "Never":
                report.ended(code)
                return
            report.crashed(code)
            restarts += 1
            await asyncio.sleep(RESTART_SECONDS)

    async def _probe(self, report: _Report, container: Object, inside: list[str]) -> None:
        probe = container.get("readinessProbe")
        report.running(ready=probe is None)
        while probe is not None:
            await asyncio.sleep(min(1.0, probe.get("periodSeconds", 10)))
            if await _call(*inside, *probe["exec"]["command"]) == 0:
                report.running(ready=True)
                return

    async def _sandbox(self, pod: Object, name: str, folder: Path) -> list[str]:
        """Return the beginning of every command line in a pod."""
        context = pod["spec"].get("securityContext", {})
        container = pod["spec"]["containers"][0]
        command = ["ip", "netns", "exec", name, "bwrap", "--die-with-parent", "--unshare-user"]
        command += ["--uid", str(context["runAsUser"]), "--gid", str(context["runAsGroup"])]
        for seen in SYSTEM:
            command += ["--ro-bind", seen, seen]
        for short in ("bin", "lib", "lib64", "sbin"):
            command += ["--symlink", f"usr/{short}", f"/{short}"]
        command += ["--bind", "/proc", "/proc", "--dev", "/dev"]
        command += ["--ro-bind", str(self.hosts), "/etc/hosts"]
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", ())}
        for mount in container.get("volumeMounts", ()):
            source = await self._volume(pod, volumes[mount["name"]], folder)
            read_only = mount.get("readOnly") or {"secret", "configMap"} & set(
                volumes[mount["name"]]
            )
            bind = "--ro-bind" if read_only else "--bind"
            command += [bind, str(source), mount["mountPath"]]
        for needed in sorted(_python()):  # after the mounts: it may lie in /tmp
            command += ["--ro-bind", needed, needed]
        for compiled in ROOT.glob("catalog_builder/**/__pycache__"):
            # Numba's compiled code is this machine's: a real pod has none, and compiles for itself.
            command += ["--bind", str(compiled), str(compiled)]
        # Nothing else: the root of the sandbox is a tmpfs until it is made read-only here.
        return [*command, "--remount-ro", "/", "--chdir", "/", "--clearenv"]

    async def _volume(self, pod: Object, volume: Object, folder: Path) -> Path:
        namespace = pod["metadata"]["namespace"]
        if "persistentVolumeClaim" in volume:
            kept = self.claims / volume["persistentVolumeClaim"]["claimName"]
            kept.mkdir(exist_ok=True)
            return kept
        made = folder / volume["name"]
        made.mkdir(parents=True, exist_ok=True)
        for file, content in await self._content(namespace, volume):
            (made / file).write_bytes(content)
        return made

    async def _content(self, namespace: str, volume: Object) -> list[tuple[str, bytes]]:
        if "configMap" in volume:
            found = await self._awaited(CONFIG_MAPS, namespace, volume["configMap"]["name"])
            return [(name, text.encode()) for name, text in found.get("data", {}).items()]
        if "secret" in volume:
            found = await self._awaited(SECRETS, namespace, volume["secret"]["secretName"])
            return [(name, base64.b64decode(text)) for name, text in found.get("data", {}).items()]
        return []

    async def _awaited(self, resource: Any, namespace: str, name: str) -> Object:
        while (resource, namespace, name) not in self.store.objects:
            await asyncio.sleep(0.2)
        return self.store.get(resource, namespace, name)


class _Report:
    """Writes what became of a container into its pod's status."""

    def __init__(self, store: Store, pod: Object, address: str, restarts: int) -> None:
        self.store, self.pod, self.restarts = store, pod, restarts
        self.common = {"podIP": address, "hostIP": "10.77.0.1", "startTime": now()}

    def running(self, *, ready: bool) -> None:
        self._write("Running", {"running": {"startedAt": now()}}, ready=ready)

    def crashed(self, code: int) -> None:
        waiting = {"reason": "CrashLoopBackOff", "message": f"exit code {code}"}
        self._write("Running", {"waiting": waiting}, ready=False)

    def ended(self, code: int) -> None:
        terminated = {"exitCode": code, "finishedAt": now()}
        self._write("Failed" if code else "Succeeded", {"terminated": terminated}, ready=False)

    def _write(self, phase: str, state: Object, *, ready: bool) -> None:
        container = self.pod["spec"]["containers"][0]
        status = {
            "name": container["name"],
            "image": container["image"],
            "imageID": "",
            "ready": ready,
            "restartCount": self.restarts,
            "state": state,
        }
        conditions = [{"type": kind, "status": str(ready)} for kind in ("Ready", "ContainersReady")]
        content = {"phase": phase, "conditions": conditions, "containerStatuses": [status]}
        self.store.set_status(PODS, self.pod, {**self.common, **content})


def _environment(pod: Object, container: Object, address: str) -> Iterator[tuple[str, str]]:
    """Yield a container's variables; a later one may use an earlier one."""
    meta = pod["metadata"]
    fields = {"metadata.name": meta["name"], "metadata.namespace": meta["namespace"]}
    fields |= {"status.podIP": address}
    fields |= {f"metadata.labels['{key}']": value for key, value in meta["labels"].items()}
    # What the image sets (deploy/Containerfile), and where this machine's programs are.
    known = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": "/tmp",
    }
    for variable in container.get("env", ()):
        if "valueFrom" in variable:
            value = fields[variable["valueFrom"]["fieldRef"]["fieldPath"]]
        else:
            value = _expanded(variable["value"], known)
        known[variable["name"]] = value
    yield from known.items()


def _expanded(text: str, known: dict[str, str]) -> str:
    return re.sub(r"\$\((\w+)\)", lambda found: known.get(found[1], found[0]), text)


def _assignments(environment: dict[str, str]) -> Iterator[str]:
    for key, value in environment.items():
        yield from ("--setenv", key, value)


def _command(container: Object) -> list[str]:
    return [*container["command"], *container.get("args", ())]


def _python() -> set[str]:
    """Return the folders of this Python, its packages and the program, without nested ones."""
    folders = {Path(each).resolve() for each in (sys.base_prefix, ROOT, *site.getsitepackages())}
    folders |= {Path(sys.prefix), *(Path(each) for each in sys.path if Path(each).is_dir())}
    shown = {each for each in folders if not str(each).startswith(SYSTEM)}
    return {str(each) for each in shown if not shown & set(each.parents)}


async def _network(name: str, address: str) -> None:
    for command in (
        f"ip netns add {name}",
        f"ip link add {name} type veth peer name eth0 netns {name}",
        f"ip link set {name} master {BRIDGE} up",
        f"ip -n {name} addr add {address}/16 dev eth0",
        f"ip -n {name} link set eth0 up",
        f"ip -n {name} link set lo up",
        f"ip -n {name} route add default via 10.77.0.1",
    ):
        if await _call(*command.split()):
            raise RuntimeError(f"failed: {command}")


async def _call(*command: str) -> int:
    null = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdout=null, stderr=null)
    return await process.wait()


async def _end(process: asyncio.subprocess.Process, grace: float) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), min(grace, 10.0))
    except TimeoutError:
        process.kill()
