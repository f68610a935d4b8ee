"""An archive's server that misbehaves on demand, on a real socket of this machine."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

from catalog_builder.archive.release import ReleaseSpec, load_release
from catalog_builder.fetch.driver import FetchReport, fetch_archive
from catalog_builder.fetch.settings import FetchSettings

#: Answers a request for a file in its own way; None leaves it to the well-behaved answer.
Fault = Callable[["Handler", bytes], None]

SOURCE = "gdr3/gaia_source"
RVS = "gdr3/Spectroscopy/rvs_mean_spectrum"


@dataclass
class Request:
    method: str
    key: str
    range: str | None
    status: int = 0


@dataclass
class MisbehavingServer:
    """Files by key below ``/``; ``/list?prefix=`` lists them as an object store does."""

    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    always: dict[str, Fault] = field(default_factory=dict)
    any_fault: Callable[[str, int], Fault | None] = lambda key, number: None
    listed_sizes: dict[str, int] = field(default_factory=dict)
    extra_keys: list[str] = field(default_factory=list)
    listing_pages: list[bytes] = field(default_factory=list)
    with_next_marker: bool = True
    knows_ranges: bool = True
    piece_pause: float = 0.0
    piece: int = 1 << 16
    requests: list[Request] = field(default_factory=list)
    served: Counter[str] = field(default_factory=Counter)
    base: str = ""

    def add_table(self, folder: str, contents: dict[str, bytes]) -> None:
        """Put files in a folder, with the list of their checksums (which lists itself, wrongly)."""
        lines = [f"{hashlib.md5(body).hexdigest()}  {name}" for name, body in contents.items()]
        lines.insert(0, f"{'0' * 32}  _MD5SUM.txt")
        self.files |= {f"{folder}/{name}": body for name, body in contents.items()}
        self.files[f"{folder}/_MD5SUM.txt"] = ("\n".join(lines) + "\n").encode()

    @staticmethod
    def source(index: int) -> str:
        """Key of a file of the source table."""
        return f"{SOURCE}/{source_name(index)}"

    @staticmethod
    def rvs(index: int) -> str:
        """Key of a file of RVS spectra."""
        return f"{RVS}/{rvs_name(index)}"

    def is_whole(self, out: Path) -> bool:
        """Whether `out` holds this server's files, byte for byte, and nothing else."""
        found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
        return found == set(self.files) and all(
            (out / key).read_bytes() == content for key, content in self.files.items()
        )

    def gets(self, key: str) -> list[Request]:
        return [one for one in self.requests if one.key == key and one.method == "GET"]

    def etag(self, key: str) -> str:
        return hashlib.md5(self.files[key]).hexdigest()

    @property
    def total_served(self) -> int:
        return sum(self.served.values())

    @property
    def addresses(self) -> dict[str, str]:
        return {"root": f"{self.base}/", "listing": f"{self.base}/list?prefix="}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    site: MisbehavingServer

    def setup(self) -> None:
        super().setup()
        # So that what is counted as served is, but for a little, what the client has read.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        body = self.site.files.get(self._note("HEAD"))
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/list":
            self._list()
            return
        key = self._note("GET")
        if key not in self.site.files:
            self.answer(404, b"no such key")
            return
        queue = self.site.faults[key]
        fault = queue.pop(0) if queue else self.site.always.get(key)
        fault = fault or self.site.any_fault(key, len(self.site.gets(key)))
        if fault is not None:
            fault(self, self.site.files[key])
        else:
            self.serve(self.site.files[key])

    def serve(
        self,
        body: bytes,
        *,
        cut_after: int | None = None,
        ranges: bool = True,
        tag: str | None = None,
    ) -> None:
        """Answer well, or break the connection after so many bytes of what was asked."""
        tag = self.site.etag(self.key) if tag is None else tag
        wanted = self.headers.get("Range")
        same = self.headers.get("If-Range") in {None, f'"{tag}"'}
        start = 0
        if wanted and same and ranges and self.site.knows_ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                self.answer(416, b"", {"Content-Range": f"bytes */{len(body)}"})
                return
            self.status(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.status(200)
        if tag:
            self.send_header("ETag", f'"{tag}"')
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.send_body(body[start:], cut_after)

    def send_body(self, body: bytes, cut_after: int | None = None) -> None:
        end = len(body) if cut_after is None else min(cut_after, len(body))
        for place in range(0, end, self.site.piece):
            piece = body[place : min(place + self.site.piece, end)]
            try:
                self.wfile.write(piece)
            except OSError:  # the client was killed
                self.close_connection = True
                return
            self.site.served[self.key] += len(piece)
            if self.site.piece_pause:
                time.sleep(self.site.piece_pause)
        if cut_after is not None:
            self.break_off()

    def break_off(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.status(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def status(self, code: int) -> None:
        if self.request_seen is not None:
            self.request_seen.status = code
        self.send_response(code)

    def _note(self, method: str) -> str:
        self.key = unquote(urlsplit(self.path).path).lstrip("/")
        self.request_seen: Request | None = Request(method, self.key, self.headers.get("Range"))
        self.site.requests.append(self.request_seen)
        return self.key

    def _list(self) -> None:
        self.request_seen = None
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        self.site.requests.append(Request("LIST", query["prefix"], query.get("marker")))
        if self.site.listing_pages:
            self.answer(200, self.site.listing_pages.pop(0))
            return
        keys = sorted(
            key
            for key in [*self.site.files, *self.site.extra_keys]
            if (key.startswith(query["prefix"]) or key in self.site.extra_keys)
            and key > query.get("marker", "")
        )
        page = keys[:1000]
        truncated = len(keys) > len(page)
        marker = f"<NextMarker>{escape(page[-1])}</NextMarker>" if truncated else ""
        contents = "".join(self._entry(key) for key in page)
        self.answer(
            200,
            (
                '<?xml version="1.0" encoding="UTF-8"?>'
                '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
                f"<Prefix>{escape(query['prefix'])}</Prefix><MaxKeys>1000</MaxKeys>"
                f"<IsTruncated>{str(truncated).lower()}</IsTruncated>"
                f"{marker if self.site.with_next_marker else ''}{contents}</ListBucketResult>"
            ).encode(),
        )

    def _entry(self, key: str) -> str:
        body = self.site.files.get(key, b"evil")
        size = self.site.listed_sizes.get(key, len(body))
        tag = self.site.etag(key) if key in self.site.files else "0"
        return (
            f"<Contents><Key>{escape(key)}</Key><Size>{size}</Size>"
            f"<ETag>&quot;{tag}&quot;</ETag></Contents>"
        )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        """A client that went away is what these tests are about."""


@pytest.fixture
def start_site() -> Iterator[Callable[..., MisbehavingServer]]:
    """Start servers: plain ones, or with a TLS context."""
    servers: list[_Server] = []

    def start(context: ssl.SSLContext | None = None) -> MisbehavingServer:
        site = MisbehavingServer()
        server = _Server(("127.0.0.1", 0), type("SiteHandler", (Handler,), {"site": site}))
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "http" if context is None else "https"
        site.base = f"{scheme}://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return site

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def empty_site(start_site: Callable[..., MisbehavingServer]) -> MisbehavingServer:
    return start_site()


@pytest.fixture
def fill() -> Callable[[MisbehavingServer], MisbehavingServer]:
    """Give a server two tables of three and two small files."""

    def add(site: MisbehavingServer) -> MisbehavingServer:
        site.add_table(SOURCE, {source_name(i): body(f"source {i}") for i in range(3)})
        site.add_table(RVS, {rvs_name(i): body(f"rvs {i}") for i in (0, 2)})
        return site

    return add


@pytest.fixture
def site(empty_site: MisbehavingServer, fill: Callable[..., MisbehavingServer]) -> Any:
    return fill(empty_site)


@pytest.fixture
def fetch(release: ReleaseSpec, settings: FetchSettings) -> Callable[..., FetchReport]:
    """Fetch both tables of a server, over plain http unless told otherwise."""

    def call(site: MisbehavingServer, out: Path, **options: Any) -> FetchReport:
        given = {
            "settings": settings,
            "tables": ("gaia_source", "rvs_mean_spectrum"),
            "allow_http": True,
            **site.addresses,
        }
        return fetch_archive(release, options.pop("survey", None), out, **(given | options))

    return call


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="session")
def release() -> ReleaseSpec:
    return load_release("dr3")


@pytest.fixture
def settings() -> FetchSettings:
    return FetchSettings(attempts=4, pause_seconds=0.001, max_pause_seconds=0.05, chunk_bytes=4096)


def source_name(index: int) -> str:
    return f"GaiaSource_{10 * index:06d}-{10 * index + 9:06d}.csv.gz"


def rvs_name(index: int) -> str:
    return f"RvsMeanSpectrum_{10 * index:06d}-{10 * index + 9:06d}.csv.gz"


def body(seed: str, n_bytes: int = 20_000) -> bytes:
    """Bytes that look random and are always the same."""
    return hashlib.shake_128(seed.encode()).digest(n_bytes)
