"""`fetch` over TLS: certificates are checked, and nothing leads back to plain http."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catalog_builder.ground.errors import InputError

pytest.importorskip("cryptography", reason="makes the certificates of these tests")

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test archive")])
    now = datetime.datetime.now(datetime.UTC)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def secure_site(certificate: Path, start_site: Callable[..., Any], fill: Any) -> Any:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return fill(start_site(context))


def test_an_archive_comes_over_https(
    secure_site: Any,
    fetch: Any,
    tmp_path: Path,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    key = secure_site.source(0)
    secure_site.faults[key] = [lambda handler, data: handler.serve(data, cut_after=9000)]

    fetch(secure_site, tmp_path, allow_http=False)

    assert secure_site.is_whole(tmp_path)


def test_a_certificate_nobody_vouches_for_is_refused_at_once(
    secure_site: Any, fetch: Any, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"certificate of 127\.0\.0\.1:\d+ is not valid"):
        fetch(secure_site, tmp_path, allow_http=False)

    assert not secure_site.requests


@pytest.mark.parametrize("allow_http", [False, True])
def test_a_redirect_from_https_to_http_is_refused_always(
    secure_site: Any,
    site: Any,
    fetch: Any,
    tmp_path: Path,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    allow_http: bool,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    key = secure_site.source(0)
    secure_site.always[key] = lambda handler, data: handler.answer(
        301, b"", {"Location": f"{site.base}/{key}"}
    )

    with pytest.raises(InputError, match="we stay on https"):
        fetch(secure_site, tmp_path, allow_http=allow_http)

    assert not site.requests
