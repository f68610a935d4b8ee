"""The objects of the cluster, their versions, and who is told of a change."""

from __future__ import annotations

import asyncio
import copy
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import jsonschema

from tests.kubernetes.manifests import strict

Object = dict[str, Any]


class ApiError(Exception):
    """An answer of the API server that is not what was asked for."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message


@dataclass(frozen=True)
class Resource:
    """A kind of object, as the address of a request names it."""

    group: str
    version: str
    plural: str
    kind: str = field(compare=False)
    namespaced: bool = field(default=True, compare=False)
    subresources: tuple[str, ...] = field(default=(), compare=False)
    short_names: tuple[str, ...] = field(default=(), compare=False)

    @property
    def api_version(self) -> str:
        """Return what its objects have as `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version


PODS = Resource("", "v1", "pods", "Pod", True, ("status", "log"))
SERVICES = Resource("", "v1", "services", "Service", True, ("status",))
SECRETS = Resource("", "v1", "secrets", "Secret")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
CLAIMS = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", True, ("status",))
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment", True, ("status", "scale"))
DEFINITIONS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False
)
BUILT_IN = (
    PODS,
    SERVICES,
    SECRETS,
    CONFIG_MAPS,
    CLAIMS,
    DEPLOYMENTS,
    DEFINITIONS,
    Resource("", "v1", "namespaces", "Namespace", False, (), ("ns",)),
    Resource("", "v1", "events", "Event"),
    Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
    Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget"),
)


@dataclass(frozen=True)
class Change:
    """One entry of the history that watchers read."""

    version: int
    type: str
    resource: Resource
    object: Object


Key = tuple[Resource, str | None, str]


class Store:
    """All objects, by kind, namespace and name."""

    def __init__(self) -> None:
        self.resources = list(BUILT_IN)
        self.objects: dict[Key, Object] = {}
        self.history: list[Change] = []
        self.watchers: set[asyncio.Queue[Change]] = set()
        #: Set by every change: the controllers look when it is.
        self.changed = asyncio.Event()
        self._version = 0
        self._schemas: dict[Resource, jsonschema.Draft7Validator] = {}

    def find_resource(self, group: str, version: str, plural: str) -> Resource:
        """Return the kind of an address."""
        for resource in self.resources:
            if (resource.group, resource.version, resource.plural) == (group, version, plural):
                return resource
        raise ApiError(404, "NotFound", f"the server has no {plural} in {group}/{version}")

    def all(self, resource: Resource, namespace: str | None = None) -> list[Object]:
        """Return the objects of a kind, of all namespaces if none is given."""
        return [
            found
            for (kind, where, _), found in self.objects.items()
            if kind == resource and namespace in (None, where)
        ]

    def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        """Return one object."""
        try:
            return self.objects[_key(resource, namespace, name)]
        except KeyError:
            raise ApiError(404, "NotFound", f'{resource.plural} "{name}" not found') from None

    def create(self, resource: Resource, namespace: str | None, new: Object) -> Object:
        """Add an object, if its schema allows it."""
        meta = new.setdefault("metadata", {})
        if "name" not in meta and "generateName" in meta:
            meta["name"] = meta["generateName"] + uuid.uuid4().hex[:5]
        if resource.namespaced:
            meta["namespace"] = namespace = namespace or meta.get("namespace", "default")
        key = _key(resource, namespace, meta["name"])
        if key in self.objects:
            raise ApiError(409, "AlreadyExists", f'{resource.plural} "{key[2]}" already exists')
        new["apiVersion"], new["kind"] = resource.api_version, resource.kind
        self._validate(resource, new)
        meta |= {"uid": str(uuid.uuid4()), "creationTimestamp": now(), "generation": 1}
        if resource == DEFINITIONS:
            self._define(new)
        elif resource == PODS:
            new["status"] = {"phase": "Pending"}
        elif resource == CLAIMS:
            new["status"] = {"phase": "Bound"}
        elif resource == SERVICES:
            new["spec"].setdefault("clusterIP", "None")
        self.objects[key] = new
        self._tell("ADDED", resource, new)
        return new

    def replace(self, resource: Resource, namespace: str | None, name: str, new: Object) -> Object:
        """Put a new state in the place of an object's."""
        old = self.get(resource, namespace, name)
        self._validate(resource, new)
        for kept in ("uid", "creationTimestamp", "name", "namespace", "resourceVersion"):
            if kept in old["metadata"]:
                new["metadata"][kept] = old["metadata"][kept]
        if new.get("spec") != old.get("spec"):
            new["metadata"]["generation"] = old["metadata"]["generation"] + 1
        if new == old:
            return old
        self.objects[_key(resource, namespace, name)] = new
        if new["metadata"].get("deletionTimestamp") and not new["metadata"].get("finalizers"):
            self._remove(resource, namespace, name)
        else:
            self._tell("MODIFIED", resource, new)
        return new

    def set_status(self, resource: Resource, old: Object, status: Object) -> None:
        """Note a new status, unless the object is gone or has it already."""
        meta = old["metadata"]
        key = _key(resource, meta.get("namespace"), meta["name"])
        found = self.objects.get(key)
        if (
            found is None
            or found["metadata"]["uid"] != meta["uid"]
            or found.get("status") == status
        ):
            return
        self.replace(resource, key[1], key[2], {**copy.deepcopy(found), "status": status})

    def delete(self, resource: Resource, namespace: str | None, name: str) -> Object:
        """Remove an object, or mark it where a finalizer has to agree first."""
        found = self.get(resource, namespace, name)
        meta = found["metadata"]
        if not meta.get("finalizers"):
            self._remove(resource, namespace, name)
        elif "deletionTimestamp" not in meta:
            meta["deletionTimestamp"] = now()
            self._tell("MODIFIED", resource, found)
        return found

    def owned(self, resource: Resource, owner: Object) -> list[Object]:
        """Return the objects of a kind that belong to another object."""
        uid = owner["metadata"]["uid"]
        return [found for found in self.all(resource) if uid in _owners(found)]

    def collect_garbage(self) -> None:
        """Remove what belongs only to objects that are gone, made for them too late."""
        alive = {found["metadata"]["uid"] for found in self.objects.values()}
        for (resource, namespace, name), found in list(self.objects.items()):
            owners = set(_owners(found))
            if owners and not owners & alive and (resource, namespace, name) in self.objects:
                self.delete(resource, namespace, name)

    def _remove(self, resource: Resource, namespace: str | None, name: str) -> None:
        gone = self.objects.pop(_key(resource, namespace, name))
        self._tell("DELETED", resource, gone)
        for (kind, where, other), found in list(self.objects.items()):
            if gone["metadata"]["uid"] in _owners(found) and (kind, where, other) in self.objects:
                self.delete(kind, where, other)

    def _tell(self, kind: str, resource: Resource, changed: Object) -> None:
        self._version += 1
        changed["metadata"]["resourceVersion"] = str(self._version)
        change = Change(self._version, kind, resource, copy.deepcopy(changed))
        self.history.append(change)
        for watcher in self.watchers:
            watcher.put_nowait(change)
        self.changed.set()

    def _validate(self, resource: Resource, new: Object) -> None:
        if resource not in self._schemas:
            return
        content = {key: new[key] for key in new if key not in ("apiVersion", "kind", "metadata")}
        errors = [
            f"{error.json_path}: {error.message[:200]}"
            for error in self._schemas[resource].iter_errors(content)
        ]
        if errors:
            raise ApiError(422, "Invalid", "; ".join(sorted(errors)[:4]))

    def _define(self, definition: Object) -> None:
        spec, names = definition["spec"], definition["spec"]["names"]
        for version in spec["versions"]:
            resource = Resource(
                spec["group"],
                version["name"],
                names["plural"],
                names["kind"],
                spec["scope"] == "Namespaced",
                tuple(version.get("subresources", {})),
                tuple(names.get("shortNames", ())),
            )
            schema = strict(version["schema"]["openAPIV3Schema"])
            for envelope in ("apiVersion", "kind", "metadata"):
                schema["properties"].pop(envelope, None)
            self.resources.append(resource)
            self._schemas[resource] = jsonschema.Draft7Validator(schema)
        definition["status"] = {"conditions": [{"type": "Established", "status": "True"}]}


def now() -> str:
    """Return the time as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _key(resource: Resource, namespace: str | None, name: str) -> Key:
    return resource, namespace if resource.namespaced else None, name


def _owners(found: Object) -> Iterator[str]:
    return (owner["uid"] for owner in found["metadata"].get("ownerReferences", ()))


def selects(labels: str | None, fields: str | None) -> Callable[[Object], bool]:
    """Return whether an object fits the two selectors of a request."""
    wanted = [_requirement(text) for text in re.split(r",(?![^(]*\))", labels or "") if text]
    exact = [text.replace("==", "=").partition("=") for text in (fields or "").split(",") if text]

    def fits(found: Object) -> bool:
        own = found["metadata"].get("labels") or {}
        return all(fulfilled(own) for fulfilled in wanted) and all(
            _field(found, path) == value for path, _, value in exact
        )

    return fits


def _requirement(text: str) -> Callable[[Object], bool]:
    key, word, values = text.strip().partition(" in ")
    if word:
        allowed = {value.strip() for value in values.strip(" ()").split(",")}
        return lambda own: own.get(key.strip()) in allowed
    key, word, value = text.strip().partition("!=")
    if word:
        return lambda own: own.get(key) != value
    key, word, value = text.strip().replace("==", "=").partition("=")
    if word:
        return lambda own: own.get(key) == value
    return lambda own: key.lstrip("!") not in own if key.startswith("!") else key in own


def _field(found: Any, path: str) -> Any:
    for part in path.split("."):
        found = (found or {}).get(part)
    return found
