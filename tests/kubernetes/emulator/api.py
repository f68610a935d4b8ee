"""The API server: HTTP requests on the store."""

from __future__ import annotations

import asyncio
import copy
import json
import time
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.kubernetes.emulator.objects import PODS, ApiError, Object, Resource, Store, selects
from tests.kubernetes.emulator.patches import merged, patched

VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


class Api:
    """Answers requests; `logs` is where the kubelet keeps what containers print."""

    def __init__(self, store: Store, logs: Path) -> None:
        self.store, self.logs = store, logs

    def application(self) -> web.Application:
        """Return the web application."""
        made = web.Application(client_max_size=64 << 20)
        made.router.add_route("*", "/{rest:.*}", self._answer)
        return made

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._route(request)
        except ApiError as error:
            status = {
                "kind": "Status",
                "apiVersion": "v1",
                "status": "Failure",
                "code": error.code,
                "reason": error.reason,
                "message": error.message,
            }
            return web.json_response(status, status=error.code)

    async def _route(self, request: web.Request) -> web.StreamResponse:
        parts = [part for part in request.path.split("/") if part]
        match parts:
            case ["version"]:
                return web.json_response({"major": "1", "minor": "33", "gitVersion": "v1.33.0"})
            case ["healthz" | "readyz" | "livez"]:
                return web.Response(text="ok")
            case ["api"]:
                return web.json_response({"kind": "APIVersions", "versions": ["v1"]})
            case ["apis"]:
                return web.json_response(self._groups())
            case ["api", version]:
                return web.json_response(self._kinds("", version))
            case ["apis", group, version]:
                return web.json_response(self._kinds(group, version))
            case ["api", version, *rest]:
                return await self._resource(request, "", version, rest)
            case ["apis", group, version, *rest] if rest:
                return await self._resource(request, group, version, rest)
        raise ApiError(404, "NotFound", request.path)

    # --- discovery -----------------------------------------------------------------------------

    def _groups(self) -> Object:
        versions = {each.group: each.version for each in self.store.resources if each.group}
        groups = []
        for group, version in versions.items():
            only = {"groupVersion": f"{group}/{version}", "version": version}
            groups.append({"name": group, "versions": [only], "preferredVersion": only})
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}

    def _kinds(self, group: str, version: str) -> Object:
        listed = []
        for each in self.store.resources:
            if (each.group, each.version) != (group, version):
                continue
            common = {"namespaced": each.namespaced, "kind": each.kind, "verbs": VERBS}
            names = {"singularName": each.kind.lower(), "shortNames": list(each.short_names)}
            listed.append({"name": each.plural, **names, **common})
            for sub in each.subresources:
                listed.append({"name": f"{each.plural}/{sub}", "singularName": "", **common})
        api = f"{group}/{version}" if group else version
        return {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": api,
            "resources": listed,
        }

    # --- objects -------------------------------------------------------------------------------

    async def _resource(
        self, request: web.Request, group: str, version: str, rest: list[str]
    ) -> web.StreamResponse:
        namespace = None
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        resource = self.store.find_resource(group, version, rest[0])
        if len(rest) == 1:
            return await self._collection(request, resource, namespace)
        sub = rest[2] if len(rest) > 2 else ""
        return await self._one(request, resource, namespace, rest[1], sub)

    async def _collection(
        self, request: web.Request, resource: Resource, namespace: str | None
    ) -> web.StreamResponse:
        if request.method == "POST":
            return web.json_response(
                self.store.create(resource, namespace, await request.json()), status=201
            )
        fits = selects(request.query.get("labelSelector"), request.query.get("fieldSelector"))
        if request.query.get("watch") in ("true", "1"):
            return await self._watch(request, resource, namespace, fits)
        found = [each for each in self.store.all(resource, namespace) if fits(each)]
        if request.method == "DELETE":
            for each in found:
                meta = each["metadata"]
                self.store.delete(resource, meta.get("namespace"), meta["name"])
        version = str(len(self.store.history))
        return web.json_response(
            {
                "kind": f"{resource.kind}List",
                "apiVersion": resource.api_version,
                "metadata": {"resourceVersion": version},
                "items": found,
            }
        )

    async def _one(
        self, request: web.Request, resource: Resource, namespace: str | None, name: str, sub: str
    ) -> web.StreamResponse:
        old = self.store.get(resource, namespace, name)
        if sub and sub not in resource.subresources:
            raise ApiError(404, "NotFound", f"{resource.plural} have no {sub}")
        if resource == PODS and sub == "log":
            return web.FileResponse(self.logs / f"{name}.log")
        if request.method == "GET":
            return web.json_response(_scale(old) if sub == "scale" else old)
        if request.method == "DELETE":
            return web.json_response(self.store.delete(resource, namespace, name))
        body = await request.json()
        if sub == "scale":
            replicas = {"replicas": body["spec"]["replicas"]}
            body = {"spec": {"worker": replicas} if "worker" in old["spec"] else replicas}
        new = self._changed(request, old, body)
        if "status" in resource.subresources:
            new = _halves(old, new, of_status=sub == "status")
        made = self.store.replace(resource, namespace, name, new)
        return web.json_response(_scale(made) if sub == "scale" else made)

    @staticmethod
    def _changed(request: web.Request, old: Object, body: Any) -> Object:
        if request.method == "PUT":
            return copy.deepcopy(body)  # type: ignore[no-any-return]
        if "json-patch" in request.headers.get("Content-Type", ""):
            return patched(old, body)
        return merged(old, body)  # type: ignore[no-any-return]

    async def _watch(
        self, request: web.Request, resource: Resource, namespace: str | None, fits: Any
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        queue: asyncio.Queue[Any] = asyncio.Queue()
        since = int(request.query.get("resourceVersion") or 0)
        for change in self.store.history[since:]:  # the version of a change is its place in it
            queue.put_nowait(change)
        self.store.watchers.add(queue)
        end = time.monotonic() + float(request.query.get("timeoutSeconds") or 3600)
        try:
            while (left := end - time.monotonic()) > 0:
                try:
                    change = await asyncio.wait_for(queue.get(), left)
                except TimeoutError:
                    break
                where = change.object["metadata"].get("namespace")
                if (
                    change.resource == resource
                    and namespace in (None, where)
                    and fits(change.object)
                ):
                    line = json.dumps({"type": change.type, "object": change.object})
                    await response.write(line.encode() + b"\n")
        except ConnectionResetError:
            pass
        finally:
            self.store.watchers.discard(queue)
        return response


def _halves(old: Object, new: Object, *, of_status: bool) -> Object:
    """Return what a request may change: the status through its own address, the rest elsewhere."""
    if of_status:
        return {**copy.deepcopy(old), "metadata": new["metadata"], "status": new.get("status", {})}
    made = {key: value for key, value in new.items() if key != "status"}
    return {**made, "status": copy.deepcopy(old["status"])} if "status" in old else made


def _scale(found: Object) -> Object:
    meta, spec = found["metadata"], found["spec"]
    replicas = spec.get("replicas", spec.get("worker", {}).get("replicas"))
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: meta[key] for key in ("name", "namespace", "resourceVersion")},
        "spec": {"replicas": replicas},
        "status": {"replicas": 0},
    }
