"""The controller of Deployments: as many pods as asked for, from the template."""

from __future__ import annotations

import copy
import uuid

from tests.kubernetes.emulator.objects import DEPLOYMENTS, PODS, Object, Store


def sync(store: Store) -> None:
    """Make and remove pods until there are as many as each Deployment wants."""
    for deployment in store.all(DEPLOYMENTS):
        meta, spec = deployment["metadata"], deployment["spec"]
        own = store.owned(PODS, deployment)
        wanted = spec.get("replicas", 1)
        for _ in range(wanted - len(own)):
            store.create(PODS, meta["namespace"], _pod_of(deployment))
        for surplus in own[wanted:]:
            store.delete(PODS, meta["namespace"], surplus["metadata"]["name"])
        ready = sum(map(_is_ready, own))
        status = {"replicas": len(own), "readyReplicas": ready, "availableReplicas": ready}
        store.set_status(DEPLOYMENTS, deployment, status)


def _pod_of(deployment: Object) -> Object:
    meta, template = deployment["metadata"], deployment["spec"]["template"]
    owner = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
    }
    own = {
        "name": f"{meta['name']}-{uuid.uuid4().hex[:5]}",
        "labels": dict(template["metadata"]["labels"]),
        "annotations": dict(template["metadata"].get("annotations") or {}),
        "ownerReferences": [owner],
    }
    return {"metadata": own, "spec": copy.deepcopy(template["spec"])}


def _is_ready(pod: Object) -> bool:
    conditions = pod["status"].get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
