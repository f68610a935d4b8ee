"""Run the emulated cluster and the unmodified Dask operator on it, until they are ended.

    unshare --net --mount --pid --fork --kill-child --mount-proc \
        python -m tests.kubernetes.emulator FOLDER [GPUS]

FOLDER gets a kubeconfig, the logs of pods and operator, and what claims keep. The network is that
of the namespaces made by `unshare`, and ends with them: nothing of this machine is reachable.
"""

from __future__ import annotations

import asyncio
import importlib.resources
import os
import signal
import subprocess
import sys
from pathlib import Path

import yaml
from aiohttp import web

from tests.kubernetes.emulator import deployments
from tests.kubernetes.emulator.api import Api
from tests.kubernetes.emulator.kubelet import BRIDGE, Kubelet
from tests.kubernetes.emulator.objects import DEFINITIONS, SERVICES, Store

ADDRESS, PORT = "10.77.0.1", 8001
CHARTS = "operator/deployment/helm/dask-kubernetes-operator/crds"


async def main(folder: Path, gpus: int) -> None:
    """Serve until a signal comes."""
    Path("/run/netns").mkdir(exist_ok=True)
    for command in (
        "mount -t tmpfs tmpfs /run/netns",  # the names of namespaces end with this one
        "ip link set lo up",
        f"ip link add {BRIDGE} type bridge",
        f"ip addr add {ADDRESS}/16 dev {BRIDGE}",
        f"ip link set {BRIDGE} up",
    ):
        subprocess.run(command.split(), check=True)
    store = Store()
    for file in importlib.resources.files("dask_kubernetes").joinpath(CHARTS).iterdir():
        definition = yaml.load(
            file.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        )
        store.create(DEFINITIONS, None, definition)
    kubelet = Kubelet(store, folder, gpus)
    runner = web.AppRunner(Api(store, kubelet.logs).application(), shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, ADDRESS, PORT).start()
    (folder / "kubeconfig").write_text(yaml.safe_dump(_kubeconfig()))
    operator = await _start_operator(folder)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print("ready", flush=True)
    control = asyncio.create_task(_control(store, kubelet))
    ends = [asyncio.create_task(stop.wait()), asyncio.create_task(operator.wait())]
    await asyncio.wait([control, kubelet.failure, *ends], return_when=asyncio.FIRST_COMPLETED)
    for failed in (control, kubelet.failure):
        if failed.done():
            failed.result()


async def _control(store: Store, kubelet: Kubelet) -> None:
    while True:
        await store.changed.wait()
        store.changed.clear()
        store.collect_garbage()
        deployments.sync(store)
        for service in store.all(SERVICES):
            if "status" not in service:
                store.set_status(SERVICES, service, {"loadBalancer": {}})
        kubelet.sync()
        await asyncio.sleep(0.02)


async def _start_operator(folder: Path) -> asyncio.subprocess.Process:
    environment = {**os.environ, "KUBECONFIG": str(folder / "kubeconfig")}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kopf", "run", "-m", "dask_kubernetes.operator.controller"),
        *("--all-namespaces", "--standalone"),
        env=environment,
        stdout=(folder / "operator.log").open("wb"),
        stderr=asyncio.subprocess.STDOUT,
    )


def _kubeconfig() -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "it", "cluster": {"server": f"http://{ADDRESS}:{PORT}"}}],
        "users": [{"name": "me", "user": {"token": "none"}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "me"}}],
        "current-context": "it",
    }


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))
