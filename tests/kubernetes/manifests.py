"""What is wrong with a set of Kubernetes manifests, found without a cluster.

Three layers: the schemas (Kubernetes' own, and the operator's custom resources), with unknown
fields refused as `kubectl --validate=strict` does; the rules of the Pod Security Standards' profile
"restricted" and a few of ours; and what the pods will run, as far as it can be told beforehand.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import referencing
import yaml
from distributed.cli import dask_scheduler, dask_worker
from typer.main import get_command

from catalog_builder.cli.program import app  # with its commands

#: Kubernetes release whose schemas are used; an older one knows fewer fields.
KUBERNETES = "1.33"
ROOT = Path(__file__).parents[2]
OVERLAYS = ROOT / "deploy" / "kubernetes" / "overlays"

Manifest = dict[str, Any]


def kubectl() -> str | None:
    """Return the kubectl of this environment, or else the machine's."""
    beside = Path(sys.executable).parent
    return shutil.which("kubectl", path=str(beside)) or shutil.which("kubectl")


def render(folder: Path) -> list[Manifest]:
    """Return what `kubectl apply -k FOLDER` would send."""
    command = [kubectl() or "kubectl", "kustomize", str(folder)]
    made = subprocess.run(command, check=True, capture_output=True, text=True)
    return list(yaml.safe_load_all(made.stdout))


def problems(manifests: Sequence[Manifest]) -> list[str]:
    """Return everything that is wrong, each with the place where it is."""
    found = []
    for manifest in manifests:
        name = f"{manifest.get('kind')}/{manifest.get('metadata', {}).get('name')}"
        found += [f"{name}: {text}" for text in _of_schema(manifest)]
        for place, pod in pods(manifest.get("spec", {})):
            found += [f"{name}{place}: {text}" for text in _of_pod(pod)]
        if manifest.get("kind") == "DaskJob":
            found += [f"{name}: {text}" for text in _of_job(manifest, manifests)]
    return found


# --- schemas -----------------------------------------------------------------------------------


def _of_schema(manifest: Manifest) -> Iterator[str]:
    group = str(manifest.get("apiVersion")).partition("/")[0]
    if group == "kubernetes.dask.org":
        schema = custom_resources().get((manifest["apiVersion"], str(manifest.get("kind"))))
        if schema is None:
            yield "the operator has no such kind"
            return
        content = {key: manifest[key] for key in manifest if key not in _ENVELOPE}
        for error in jsonschema.Draft7Validator(schema).iter_errors(content):
            yield f"{error.json_path}: {error.message[:200]}"
        return
    yield from _of_core_schema(manifest)


_ENVELOPE = {"apiVersion", "kind", "metadata"}


def _of_core_schema(manifest: Manifest) -> Iterator[str]:
    schema = core_schema(str(manifest.get("apiVersion")), str(manifest.get("kind")))
    if schema is None:
        yield f"Kubernetes {KUBERNETES} has no such kind"
        return
    for error in schema.iter_errors(manifest):
        yield f"{error.json_path}: {error.message[:200]}"


_SCHEMAS = importlib.resources.files("kubernetes_validate").joinpath(
    f"kubernetes-json-schema/v{KUBERNETES}.0-local-strict"
)


@functools.cache
def core_schema(api_version: str, kind: str) -> jsonschema.Draft202012Validator | None:
    """Return the strict schema of a kind of Kubernetes itself; None if there is no such kind.

    It is what `kubernetes_validate.validate(..., strict=True)` uses, read once.
    """
    group, _, version = api_version.rpartition("/")
    short = group.partition(".")[0]
    file = _SCHEMAS.joinpath(f"{kind.lower()}-{short + '-' if short else ''}{version}.json")
    if not file.is_file():
        return None
    return jsonschema.Draft202012Validator(json.loads(file.read_text()), registry=_definitions())


@functools.cache
def _definitions() -> referencing.Registry[Any]:
    content = json.loads(_SCHEMAS.joinpath("_definitions.json").read_text())
    return referencing.Resource.from_contents(content) @ referencing.Registry()


@functools.cache
def custom_resources() -> dict[tuple[str, str], Manifest]:
    """Return the strict schemas of the operator's resources, by API version and kind."""
    folder = importlib.resources.files("dask_kubernetes").joinpath(
        "operator/deployment/helm/dask-kubernetes-operator/crds"
    )
    found = {}
    for file in folder.iterdir():
        definition = yaml.load(
            file.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        )
        for version in definition["spec"]["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            schema["properties"] = {
                key: value for key, value in schema["properties"].items() if key not in _ENVELOPE
            }
            api = f"{definition['spec']['group']}/{version['name']}"
            found[api, definition["spec"]["names"]["kind"]] = schema
    return found


def strict(schema: Any) -> Any:
    """Return a schema that refuses unknown fields wherever it names the known ones."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    if made.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
    if made.get("x-kubernetes-preserve-unknown-fields"):
        return made
    if made.get("type") == "object" and "properties" in made:
        made.setdefault("additionalProperties", False)
    return made


# --- pods --------------------------------------------------------------------------------------


def pods(node: Any, place: str = "") -> Iterator[tuple[str, Manifest]]:
    """Yield every pod specification inside a manifest, and where it is."""
    if not isinstance(node, dict):
        return
    if isinstance(node.get("containers"), list):
        yield place, node
    for key, value in node.items():
        yield from pods(value, f"{place}.{key}")


#: Kinds of volumes that the profile allows and we need.
_VOLUMES = {"configMap", "secret", "emptyDir", "persistentVolumeClaim"}
_QUANTITY = re.compile(r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")


def _of_pod(pod: Manifest) -> Iterator[str]:
    yield from _of_core_schema(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": pod}
    )
    context = pod.get("securityContext", {})
    rules = {
        "runs as root": context.get("runAsNonRoot") is not True or context.get("runAsUser", 0) == 0,
        "no seccomp profile": context.get("seccompProfile", {}).get("type") != "RuntimeDefault",
        "shares a namespace of the host": any(
            pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")
        ),
        "has a token of the API": pod.get("automountServiceAccountToken") is not False,
        "service links become DASK_ variables": pod.get("enableServiceLinks") is not False,
        "has a volume of a kind that is not allowed": any(
            set(volume) - {"name"} - _VOLUMES for volume in pod.get("volumes", [])
        ),
    }
    yield from (text for text, broken in rules.items() if broken)
    volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
    for container in pod["containers"]:
        name = container.get("name")
        yield from (f"{name}: {text}" for text in _of_container(container, volumes))


def _of_container(container: Manifest, volumes: dict[str, Manifest]) -> Iterator[str]:
    context = container.get("securityContext", {})
    limits = container.get("resources", {}).get("limits", {})
    requests = container.get("resources", {}).get("requests", {})
    mounts = container.get("volumeMounts", [])
    written = {
        mount["mountPath"] for mount in mounts if "emptyDir" in volumes.get(mount.get("name"), {})
    }
    gpu = "nvidia.com/gpu"
    rules = {
        "may become more than it is": context.get("allowPrivilegeEscalation") is not False,
        "is privileged": bool(context.get("privileged")),
        "keeps capabilities": context.get("capabilities", {}) != {"drop": ["ALL"]},
        "can write its root": context.get("readOnlyRootFilesystem") is not True,
        "has no memory limit": "memory" not in limits,
        "can be evicted for its memory": limits.get("memory") != requests.get("memory"),
        "asks for no processor": "cpu" not in requests,
        "has no /tmp": "/tmp" not in written,
        "mounts a volume that is not declared": any(
            mount.get("name") not in volumes for mount in mounts
        ),
        "has an image without a tag": not re.search(
            r"(:[\w.-]+|@sha256:[0-9a-f]{64})$", container.get("image", "")
        ),
        "offers a GPU that it has not got": "--resources=GPU=1" in container.get("command", [])
        and gpu not in limits,
        "has a GPU that it does not offer": gpu in limits
        and "--resources=GPU=1" not in container.get("command", []),
    }
    yield from (text for text, broken in rules.items() if broken)
    for amount in {*limits.values(), *requests.values()}:
        if not _QUANTITY.match(str(amount)):
            yield f"{amount!r} is no quantity"
    yield from _of_command(container.get("command", []))


# --- what the pods run -------------------------------------------------------------------------


def _of_command(command: Sequence[str]) -> Iterator[str]:
    """Have the programs themselves read the command lines, without running anything."""
    programs: dict[tuple[str, ...], Any] = {
        ("dask", "scheduler"): dask_scheduler.main,
        ("dask", "worker"): dask_worker.main,
        ("catalog-builder", "run"): get_command(app).commands["run"],
        ("catalog-builder", "train"): get_command(app).commands["train"],
    }
    program = programs.get(tuple(command[:2]))
    if program is None:
        yield f"runs a program that is not known: {' '.join(command[:2])}"
        return
    try:
        understood = program.make_context(command[1], list(command[2:])).params
    except Exception as error:  # noqa: BLE001 - click and typer have errors of their own
        yield f"{' '.join(command[:2])}: {error}"
        return
    # Dask hands what it does not know to preloads: it would be ignored in silence.
    unknown = [understood.get("scheduler"), *understood.get("preload_argv", ())]
    if any(unknown):
        yield f"{' '.join(command[:2])} does not know {unknown}"


def _of_job(job: Manifest, manifests: Sequence[Manifest]) -> Iterator[str]:
    """Names that must agree, which no schema can see."""
    name = job.get("metadata", {}).get("name")
    part = "app.kubernetes.io/part-of"
    scheduler = job.get("spec", {}).get("cluster", {}).get("spec", {}).get("scheduler", {})
    service = scheduler.get("service", {})
    if service.get("selector", {}).get("dask.org/cluster-name") != name:
        yield "its service selects the scheduler of another job"
    policies = [each for each in manifests if each.get("kind") == "NetworkPolicy"]
    labels = job.get("metadata", {}).get("labels", {})
    for policy in policies:
        wanted = policy.get("spec", {}).get("podSelector", {}).get("matchLabels", {})
        if wanted.get(part) != labels.get(part):
            yield f"NetworkPolicy/{policy['metadata'].get('name')} does not cover it"
    if not policies:
        yield "has no NetworkPolicy"
    kept = {(each.get("kind"), each.get("metadata", {}).get("name")) for each in manifests}
    for _, pod in pods(job["spec"]):
        for volume in pod.get("volumes", []):
            needs = ("ConfigMap", volume.get("configMap", {}).get("name"))
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            for kind, wanted in (needs, ("PersistentVolumeClaim", claim)):
                if wanted is not None and (kind, wanted) not in kept:
                    yield f"needs {kind}/{wanted}, which is not there"
        if pod.get("volumes") != job["spec"]["job"]["spec"].get("volumes"):
            yield "its pods have not the same volumes"
