"""Connections are encrypted and closed to strangers, keys to everybody but their owner."""

import socket
import ssl
import urllib.request

import psutil
import pytest

from catalog_builder.ground.errors import ClusterError
from catalog_builder.run.config import load_config
from catalog_builder.runtime.clusters.registry import make_cluster
from catalog_builder.runtime.clusters.tls import run_certificates
from catalog_builder.runtime.workdir import Workdir
from tests.cluster.conftest import settings


def processes_of(opened):
    """Return the driver's process and those of its workers, which know the run's name."""
    me = psutil.Process()
    found = [me, *me.children(recursive=True)]
    for process in psutil.process_iter(["cmdline"]):
        if opened.name in " ".join(process.info["cmdline"] or ()):
            found += [process, *process.children(recursive=True)]
    return found


def listening(opened):
    """Return address and port of everything that listens."""
    return {
        (connection.laddr.ip, connection.laddr.port)
        for process in processes_of(opened)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }


def speaks_only_tls(address):
    """Say whether a port ends a connection that begins without TLS, and greets one with it."""
    with socket.create_connection(address, timeout=10) as plain:
        plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
        try:
            answer = plain.recv(100)
        except ConnectionError:
            answer = b""
    if answer and answer[0] != 0x15:  # a TLS alert is all that may come
        return False
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(address, timeout=10) as raw:
        try:
            context.wrap_socket(raw).close()
        except ssl.SSLError as error:  # it wants a certificate
            return "CERTIFICATE_REQUIRED" in str(error)
    return True


def test_strangers_are_refused_and_only_encrypted_ports_are_open(quiet_bed, cluster, tmp_path):
    # No interface is given: scheduler and workers listen where other machines could reach them.
    with cluster(settings("slurm", workers=1, interface=None)) as opened:
        address = opened.client.scheduler.address
        assert address.startswith("tls://")
        assert opened.client.submit(sum, [1, 2]).result(timeout=30) == 3

        (folder,) = (opened.workdir.root / "cluster").glob("tls-*")
        assert folder.stat().st_mode & 0o077 == 0
        assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())

        open_to_all = {place for place in listening(opened) if place[0] != "127.0.0.1"}
        assert len(open_to_all) >= 3, "scheduler, nanny, worker"
        assert all(speaks_only_tls(place) for place in open_to_all)
        assert opened.dashboard.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(opened.dashboard.split()[0], timeout=30) as page:
            assert page.status == 200

        other = load_config(None, [], {}).cluster
        with run_certificates(other, tmp_path / "other") as strangers:
            for kind, tls in (
                (address.replace("tls://", "tcp://"), False),
                (address, False),
                (address, strangers),
            ):
                stranger = other.model_copy(update={"kind": kind, "tls": tls})
                with (
                    pytest.raises(ClusterError, match="No scheduler answers"),
                    make_cluster(stranger, Workdir(tmp_path)),
                ):
                    pass
    assert not folder.exists()
