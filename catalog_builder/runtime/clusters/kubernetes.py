"""A cluster that the Dask operator runs on Kubernetes, around a driver in a pod beside it.

The operator makes scheduler and workers from the manifests in ``deploy/kubernetes`` and removes
them when the driver's pod ends; nothing is started from here, and no pod needs a token of the
cluster's API. The ``KubeCluster`` of dask-kubernetes is not used: it knows no TLS.
"""

from __future__ import annotations

import gc
import logging
import time

import dask
from distributed import Client
from distributed.comm.core import FatalCommClosedError
from distributed.security import Security
from distributed.utils import silence_logging_cmgr

from catalog_builder.ground.errors import CatalogBuilderError, ClusterError, ConfigError
from catalog_builder.runtime.clusters import kubectl
from catalog_builder.runtime.clusters.protocol import Cluster, Finding
from catalog_builder.runtime.clusters.tls import security_of

#: Seconds of one attempt to connect, and between two words about waiting.
ATTEMPT_SECONDS = 10.0
TELL_SECONDS = 60.0

_LOOK = "`kubectl get pods` and `kubectl describe pod` say what they wait for."


class OperatorCluster(Cluster):
    """The scheduler and the workers of the driver's own DaskJob."""

    def open(self) -> Client:
        """Wait for the scheduler and its first worker: their nodes may have to start first.

        Raises
        ------
        ConfigError
            If this is no pod of a DaskJob, or its connections would not be encrypted.
        ClusterError
            If they do not come, or refuse the certificate.
        """
        address, security = _address(), self._security()
        deadline = time.monotonic() + self.settings.kubernetes.start_seconds
        # What goes wrong is said here, in words; Dask would log tracebacks.
        self.stack.enter_context(silence_logging_cmgr(logging.CRITICAL))
        client = self.stack.enter_context(self._connect(address, security, deadline))
        self._await_worker(client, deadline)
        return client

    def describe(self) -> str:
        """Return the manifests of `cluster.kubernetes.manifests`; empty if none are named."""
        folder = self.settings.kubernetes.manifests
        return "" if folder is None else kubectl.render(folder)

    def check(self) -> list[Finding]:
        """Open the cluster from a pod of it; elsewhere ask Kubernetes for what the run needs."""
        if dask.config.get("scheduler-address", None) is not None:
            return super().check()
        folder = self.settings.kubernetes.manifests
        if folder is None:
            return [Finding("kubernetes", ConfigError(_NO_POD, _NAME_MANIFESTS))]
        try:
            return [
                Finding(
                    found.text,
                    None if found.well else ClusterError(f"{found.text}.", found.way_out),
                )
                for found in kubectl.examine(folder)
            ]
        except CatalogBuilderError as error:
            return [Finding("kubernetes", error)]

    def _security(self) -> Security:
        if self.settings.tls is True:
            raise ConfigError(
                "A temporary certificate is unknown to the operator's scheduler.",
                "Leave `tls` out: Dask's settings name the certificates of the pods.",
            )
        if self.settings.tls is not False:
            return security_of(self.settings.tls)
        security = Security()
        certificate = security.get_tls_config_for_role("client")
        if certificate["ca_file"] is None or certificate["cert"] is None:
            raise ConfigError(
                "Dask's settings name no certificate.",
                "Set DASK_CONFIG to a file with distributed.comm.tls, as deploy/kubernetes does.",
            )
        return security

    def _connect(self, address: str, security: Security, deadline: float) -> Client:
        told = time.monotonic()
        while True:
            try:
                return Client(address, timeout=ATTEMPT_SECONDS, security=security)
            except FatalCommClosedError as error:
                raise ClusterError(
                    f"The scheduler at {address} refuses this driver's certificate ({error}).",
                    "All pods of a run take theirs from the same Secret; make it before the run.",
                ) from None
            except OSError as error:  # a name that is not known yet, a port nobody listens on
                now = time.monotonic()
                if now >= deadline:
                    raise ClusterError(
                        f"No scheduler answers at {address} within"
                        f" {self.settings.kubernetes.start_seconds:g} s ({error}).",
                        _LOOK,
                    ) from None
                if now - told >= TELL_SECONDS:
                    told = now
                    self.events.say(f"Waiting for the scheduler at {address} ...")
            # Collected while the next one is made, a failed client would wait for its lock.
            gc.collect()
            time.sleep(1.0)

    def _await_worker(self, client: Client, deadline: float) -> None:
        while True:
            left = deadline - time.monotonic()
            try:
                client.wait_for_workers(1, timeout=max(1.0, min(TELL_SECONDS, left)))
            except TimeoutError:
                if left <= TELL_SECONDS:
                    raise ClusterError(
                        "The scheduler has no worker after"
                        f" {self.settings.kubernetes.start_seconds:g} s.",
                        _LOOK,
                    ) from None
                self.events.say("Waiting for a worker ...")
            else:
                return


_NO_POD = "DASK_SCHEDULER_ADDRESS is not set: this is no pod of a DaskJob."
_NAME_MANIFESTS = (
    "Run it by `kubectl apply -k` on an overlay of deploy/kubernetes (docs/kubernetes.md). To look"
    " at it from outside, name the overlay with --set cluster.kubernetes.manifests=FOLDER."
)


def _address() -> str:
    address = dask.config.get("scheduler-address", None)
    if address is None:
        raise ConfigError(_NO_POD, _NAME_MANIFESTS)
    if not str(address).startswith("tls://"):
        raise ConfigError(
            f"The scheduler's address {address}, as the operator sets it, is not encrypted.",
            "Set DASK_SCHEDULER_ADDRESS to tls://... in the manifests, as deploy/kubernetes does.",
        )
    return str(address)
