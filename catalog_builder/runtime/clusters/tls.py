"""Encrypted and authenticated connections between driver, scheduler and workers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distributed.security import Security

from catalog_builder.ground.about import DISTRIBUTION
from catalog_builder.ground.errors import ConfigError
from catalog_builder.runtime.clusters.settings import ClusterSettings

CA_FILE, CERTIFICATE_FILE, KEY_FILE = "ca.pem", "cert.pem", "key.pem"


def local_security(settings: ClusterSettings) -> Security | None:
    """Return what a cluster of this machine encrypts with; None where it does not.

    Raises
    ------
    ConfigError
        If a file is missing, the key is open to others, or ``cryptography`` is not installed.
    """
    if settings.tls is False:
        return None
    if settings.tls is not True:
        return security_of(settings.tls)
    return _temporary()  # kept in memory


def client_security(settings: ClusterSettings) -> Security | None:
    """Return what a client of somebody else's scheduler identifies itself with.

    Raises
    ------
    ConfigError
        If address and setting contradict each other, or the certificates are not usable.
    """
    encrypted = settings.kind.startswith("tls://")
    if settings.tls is False:
        # Dask's own configuration may hold the certificates.
        return None
    if not encrypted:
        raise ConfigError(
            f"--tls is given, but {settings.kind} is an address without encryption.",
            "Give the scheduler's tls:// address.",
        )
    if settings.tls is True:
        raise ConfigError(
            f"A temporary certificate is unknown to the scheduler at {settings.kind}.",
            f"Give the folder of {CA_FILE}, {CERTIFICATE_FILE} and {KEY_FILE} with --tls.",
        )
    return security_of(settings.tls)


@contextmanager
def run_certificates(settings: ClusterSettings, folder: Path) -> Iterator[Path]:
    """Yield the folder of the certificates of one run: those given, or new ones made in `folder`.

    New ones serve this run alone: who has the key is taken for the driver. They can be read by
    their owner only, and are gone at the end.

    Raises
    ------
    ConfigError
        As :func:`local_security`.
    """
    if not isinstance(settings.tls, bool):
        security_of(settings.tls)
        yield settings.tls
        return
    made = _temporary().get_tls_config_for_role("scheduler")
    folder.mkdir(mode=0o700, parents=True)
    try:
        files = {CA_FILE: "ca_file", CERTIFICATE_FILE: "cert", KEY_FILE: "key"}
        for name, part in files.items():
            (folder / name).touch(mode=0o600)
            (folder / name).write_text(made[part], encoding="ascii")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _temporary() -> Security:
    """Return a self-signed certificate, its own authority."""
    try:
        return Security.temporary()
    except ImportError:
        raise ConfigError(
            "A temporary certificate needs the package cryptography.",
            f"`pip install '{DISTRIBUTION}[tls]'`, or give a folder with certificates by --tls.",
        ) from None


def security_of(folder: Path) -> Security:
    """Return what the certificates of a folder allow: to be driver, scheduler or worker.

    Raises
    ------
    ConfigError
        If a file is missing or the key is open to others.
    """
    for name in (CA_FILE, CERTIFICATE_FILE, KEY_FILE):
        if not (folder / name).is_file():
            raise ConfigError(
                f"--tls {folder}: there is no {name}.",
                f"The folder must hold {CA_FILE}, {CERTIFICATE_FILE} and {KEY_FILE}.",
            )
    key = folder / KEY_FILE
    mode = key.stat().st_mode & 0o777
    if mode & 0o077:
        raise ConfigError(
            f"{key} can be read by others (mode {mode:04o}).", f"Run `chmod 600 {key}`."
        )
    authority, certificate = str(folder / CA_FILE), str(folder / CERTIFICATE_FILE)
    return Security(
        require_encryption=True,
        tls_ca_file=authority,
        tls_client_cert=certificate,
        tls_client_key=str(key),
        tls_scheduler_cert=certificate,
        tls_scheduler_key=str(key),
        tls_worker_cert=certificate,
        tls_worker_key=str(key),
    )
