"""Encrypted clusters, refused strangers, and pages that only this machine can see."""

import datetime
from pathlib import Path

import psutil
import pytest
from distributed import LocalCluster

from catalog_builder.ground.errors import ClusterError, ConfigError
from catalog_builder.runtime.clusters.registry import make_cluster
from catalog_builder.runtime.clusters.settings import ClusterSettings
from catalog_builder.runtime.clusters.tls import (
    client_security,
    local_security,
    run_certificates,
    security_of,
)
from catalog_builder.runtime.workdir import Workdir

pytest.importorskip("cryptography")


def write_certificates(folder: Path, mode: int = 0o600) -> Path:
    """Write a self-signed certificate as its own authority, as `openssl req -x509` does."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "catalog-builder")])
    now = datetime.datetime.now(tz=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .sign(key, hashes.SHA256())
    )
    folder.mkdir()
    for file in ("ca.pem", "cert.pem"):
        (folder / file).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret = folder / "key.pem"
    secret.touch(mode=mode)
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    secret.chmod(mode)
    return folder


def settings(**given) -> ClusterSettings:
    return ClusterSettings.model_validate({"workers": 1, **given})


def test_a_temporary_certificate_encrypts_and_keeps_strangers_out(tmp_path):
    with make_cluster(settings(tls=True), Workdir(tmp_path)) as cluster:
        client = cluster.client
        address = client.scheduler.address
        assert address.startswith("tls://127.0.0.1:")
        assert client.submit(sum, [1, 2]).result(timeout=120) == 3
        (worker,) = client.scheduler_info()["workers"]
        assert worker.startswith("tls://127.0.0.1:")
        plain = address.replace("tls://", "tcp://")
        stranger = write_certificates(tmp_path / "stranger")
        for refused in ({"kind": plain}, {"kind": address}, {"kind": address, "tls": stranger}):
            with (
                pytest.raises(ClusterError, match="No scheduler answers"),
                make_cluster(settings(**refused), Workdir(tmp_path)),
            ):
                pass


def test_certificates_of_a_folder_open_a_scheduler_elsewhere(tmp_path):
    folder = write_certificates(tmp_path / "tls")
    security = local_security(settings(tls=str(folder)))
    with (
        LocalCluster(
            n_workers=1,
            processes=False,
            dashboard_address="127.0.0.1:0",
            protocol="tls://",
            host="127.0.0.1",
            security=security,
        ) as cluster,
        make_cluster(
            settings(kind=cluster.scheduler_address, tls=folder), Workdir(tmp_path)
        ) as opened,
    ):
        assert opened.client.submit(sum, [1, 2]).result(timeout=120) == 3


def test_nothing_listens_beyond_this_machine(tmp_path):
    with make_cluster(settings(), Workdir(tmp_path)) as cluster:
        client = cluster.client
        assert client.dashboard_link.startswith("http://127.0.0.1:")
        me = psutil.Process()
        family = [me, *me.children(recursive=True)]
        listening = {
            connection.laddr.ip
            for process in family
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        }
    assert listening == {"127.0.0.1"}


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_key_that_others_can_read_is_refused(tmp_path, mode):
    folder = write_certificates(tmp_path / "tls", mode)
    with pytest.raises(ConfigError, match=rf"mode 0{mode:o}.*chmod 600"):
        local_security(settings(tls=folder))


@pytest.mark.parametrize("missing", ["ca.pem", "cert.pem", "key.pem"])
def test_a_missing_file_is_named(tmp_path, missing):
    folder = write_certificates(tmp_path / "tls")
    (folder / missing).unlink()
    with pytest.raises(ConfigError, match=f"there is no {missing}"):
        client_security(settings(kind="tls://127.0.0.1:1", tls=folder))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("tcp://127.0.0.1:1", "an address without encryption"),
        ("tls://127.0.0.1:1", "A temporary certificate is unknown"),
    ],
)
def test_contradictions_are_refused(kind, message):
    with pytest.raises(ConfigError, match=message):
        client_security(settings(kind=kind, tls=True))


def test_without_tls_there_is_none():
    assert local_security(settings()) is None
    assert client_security(settings(kind="tcp://127.0.0.1:1")) is None


def test_certificates_of_a_run_are_its_owners_and_gone_at_the_end(tmp_path):
    folder = tmp_path / "cluster" / "tls"
    with run_certificates(settings(), folder) as made:
        assert made == folder
        modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
        assert modes == {"ca.pem": 0o600, "cert.pem": 0o600, "key.pem": 0o600}
        assert folder.stat().st_mode & 0o777 == 0o700
        security_of(folder)
    assert not folder.exists()


def test_given_certificates_are_used_where_they_lie_and_stay(tmp_path):
    given = write_certificates(tmp_path / "given")
    with run_certificates(settings(tls=given), tmp_path / "unused") as folder:
        assert folder == given
    assert len(list(given.iterdir())) == 3
    assert not (tmp_path / "unused").exists()
