"""What `kubectl` tells of a run's manifests and of the place where they will go."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from catalog_builder.ground.errors import ClusterError, ConfigError
from catalog_builder.runtime.clusters.tls import CA_FILE, CERTIFICATE_FILE, KEY_FILE

#: A cluster that does not answer is one that cannot be used: doctor does not wait for ever.
TIMEOUT_SECONDS = 15

CUSTOM_RESOURCE = "daskjobs.kubernetes.dask.org"


@dataclass(frozen=True)
class Found:
    """One thing looked at, and whether it is as it must be."""

    text: str
    well: bool = True
    way_out: str = ""


def render(folder: Path) -> str:
    """Return what `kubectl apply -k FOLDER` would send.

    Raises
    ------
    ConfigError
        If the folder cannot be rendered.
    ClusterError
        If there is no kubectl.
    """
    try:
        return _kubectl("kustomize", str(folder))
    except ClusterError as error:
        raise ConfigError(
            f"{folder} cannot be rendered: {error.problem}", "Name an overlay of deploy/kubernetes."
        ) from None


def examine(folder: Path) -> Iterator[Found]:
    """Ask the cluster of the current context for all that the manifests of a folder need.

    Raises
    ------
    ConfigError
        If the folder cannot be rendered, or describes no DaskJob.
    ClusterError
        If there is no kubectl.
    """
    manifests = [each for each in yaml.safe_load_all(render(folder)) if each]
    job = next((each for each in manifests if each["kind"] == "DaskJob"), None)
    if job is None:
        raise ConfigError(
            f"{folder} describes no DaskJob.", "Name an overlay of deploy/kubernetes."
        )
    namespace = job["metadata"].get("namespace", "default")
    worker = job["spec"]["cluster"]["spec"]["worker"]
    limits = worker["spec"]["containers"][0]["resources"]["limits"]
    sizes = ", ".join(f"{name} {amount}" for name, amount in limits.items())
    name = job["metadata"]["name"]
    yield Found(f"{name} in namespace {namespace}: {worker['replicas']} workers of {sizes}")
    yield _operator()
    for volume in job["spec"]["job"]["spec"]["volumes"]:
        if "secret" in volume:
            yield _secret(namespace, volume["secret"]["secretName"])
        elif "persistentVolumeClaim" in volume:
            yield _claim(namespace, volume["persistentVolumeClaim"]["claimName"])
    yield from _pods(namespace, name)


def _operator() -> Found:
    try:
        _kubectl("get", "customresourcedefinition", CUSTOM_RESOURCE, "--output=name")
    except ClusterError as error:
        return Found(
            f"no Dask operator: {error.problem}", False, "Install it: docs/kubernetes.md, step 1."
        )
    return Found(f"the operator's {CUSTOM_RESOURCE} is installed")


def _secret(namespace: str, name: str) -> Found:
    way_out = "Make it: deploy/kubernetes/make-secret.sh."
    try:
        content = _get("secret", name, namespace)
    except ClusterError as error:
        return Found(f"no Secret {name}: {error.problem}", False, way_out)
    missing = {CA_FILE, CERTIFICATE_FILE, KEY_FILE} - set(content.get("data", {}))
    if missing:
        return Found(f"Secret {name} lacks {', '.join(sorted(missing))}", False, way_out)
    return Found(f"Secret {name}: {CA_FILE}, {CERTIFICATE_FILE}, {KEY_FILE}")


def _claim(namespace: str, name: str) -> Found:
    try:
        content = _get("persistentvolumeclaim", name, namespace)
    except ClusterError as error:
        return Found(f"no volume {name} yet: {error.problem}", True)
    phase = content.get("status", {}).get("phase", "Pending")
    # Some storage classes bind a volume only when the first pod asks for it.
    return Found(f"volume {name}: {phase}", phase != "Lost", "Restore the volume.")


def _pods(namespace: str, job: str) -> Iterator[Found]:
    selector = f"dask.org/cluster-name={job}"
    try:
        listed = json.loads(
            _kubectl("get", "pods", "-n", namespace, "--selector", selector, "--output=json")
        )
    except ClusterError as error:
        yield Found(f"pods cannot be listed: {error.problem}", False, "Check your rights there.")
        return
    for pod in listed["items"]:
        name, status = pod["metadata"]["name"], pod.get("status", {})
        reasons = sorted(set(_reasons(status)))
        text = f"pod {name}: {status.get('phase')}{''.join(f', {reason}' for reason in reasons)}"
        yield Found(text, not reasons, f"`kubectl -n {namespace} describe pod {name}` says more.")


def _reasons(status: dict[str, Any]) -> Iterator[str]:
    """Yield why a pod does not run, as Kubernetes says it."""
    for condition in status.get("conditions", ()):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            yield f"{condition.get('reason')}: {condition.get('message')}"
    for container in status.get("containerStatuses", ()):
        waiting = container.get("state", {}).get("waiting")
        if waiting and waiting.get("reason") != "ContainerCreating":
            yield f"{waiting.get('reason')}: {waiting.get('message', '')}".rstrip(": ")


def _get(kind: str, name: str, namespace: str) -> dict[str, Any]:
    content = json.loads(_kubectl("get", kind, name, "-n", namespace, "--output=json"))
    return content if isinstance(content, dict) else {}


def _kubectl(*arguments: str) -> str:
    return _run((*arguments, *_limits(arguments[0])))


def _limits(verb: str) -> Sequence[str]:
    return () if verb == "kustomize" else (f"--request-timeout={TIMEOUT_SECONDS}s",)


def _run(arguments: Sequence[str]) -> str:
    program = shutil.which("kubectl")
    if program is None:
        raise ClusterError("kubectl is not on the PATH.", "Install it, or look from a pod.")
    try:
        done = subprocess.run(  # noqa: S603 - the program that PATH names, no shell
            [program, *arguments],
            capture_output=True,
            check=False,
            text=True,
            timeout=4 * TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise ClusterError("kubectl gets no answer.", "Is it the right context?") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["kubectl failed without a word"]
        raise ClusterError(said[-1], "Try it by hand: `kubectl cluster-info`.")
    return done.stdout
