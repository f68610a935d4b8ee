"""HTTPS as a download needs it: no weaker scheme, every redirect looked at, faults told apart.

A fault that may go away (`TransientError`) is worth another attempt; any other is an error for
the user at once.
"""

from __future__ import annotations

import random
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.exceptions import HTTPError, InvalidHeader, LocationParseError

from catalog_builder.fetch.settings import FetchSettings
from catalog_builder.ground.about import __version__
from catalog_builder.ground.errors import ConfigError, InputError

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 5
#: Answers below 500 that another attempt may change: timeout, too early, too many requests.
_PASSING = frozenset({408, 425, 429})

ResultT = TypeVar("ResultT")


class TransientError(Exception):
    """A fault that another attempt may not meet.

    Parameters
    ----------
    problem : str
        What happened.
    pause : float, optional
        Seconds that the server asks to wait.
    progress : int
        Bytes that the attempt brought beyond what there was, before it failed.
    """

    def __init__(self, problem: str, pause: float | None = None, progress: int = 0) -> None:
        super().__init__(problem)
        self.problem = problem
        self.pause = pause
        self.progress = progress


class StoppedError(Exception):
    """The download was told to stop, by an interrupt."""


class Client:
    """One set of connections, shared by all threads of a fetch.

    Parameters
    ----------
    settings : FetchSettings
        Patience and limits.
    allow_http : bool
        Whether unencrypted addresses are taken. A redirect from https to http never is.
    """

    def __init__(self, settings: FetchSettings, *, allow_http: bool = False) -> None:
        self.settings = settings
        self.stop = threading.Event()
        self._schemes = {"https", "http"} if allow_http else {"https"}
        self._pools: dict[str | None, urllib3.PoolManager] = {}
        self._lock = threading.Lock()
        self._rate_lock = threading.Lock()
        self._free_at = 0.0

    @contextmanager
    def open(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        statuses: Collection[int] = (200,),
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """Ask for `url` and give the response, with one of `statuses` and its body unread.

        Raises
        ------
        TransientError
            If the connection fails, also while the body is read, or the server is overloaded.
        InputError
            If the server refuses for good, its certificate is not valid, or it redirects to
            where we do not go.
        ConfigError
            If `url` itself is not allowed.
        """
        self.check_address(url)
        try:
            response = self._follow(url, method, headers or {})
            try:
                _check_status(url, response, statuses)
                yield response
            finally:
                response.close()
        except HTTPError as error:
            if any(isinstance(part, ssl.SSLCertVerificationError) for part in error.args):
                raise InputError(
                    f"The certificate of {_place(url)} is not valid: {error}.",
                    "Somebody may be listening in. If the site has a certificate authority of its"
                    " own, name that in SSL_CERT_FILE.",
                ) from error
            raise TransientError(f"{type(error).__name__}: {error}") from error

    def read(self, url: str, limit: int) -> bytes:
        """Return a small body, at most `limit` bytes, with patience.

        Raises
        ------
        InputError
            If it cannot be had or is larger.
        """

        def attempt() -> bytes:
            with self.open(url) as response:
                body = response.read(limit + 1, decode_content=False)
            if len(body) > limit:
                raise InputError(
                    f"{url} is larger than {limit} bytes.", "Check the address of the listing."
                )
            return body

        return self.patiently(url, attempt)

    def patiently(self, url: str, attempt: Callable[[], ResultT]) -> ResultT:
        """Repeat `attempt` while it raises `TransientError`, with growing, jittered pauses.

        An attempt that brought at least a chunk of bytes starts the count anew: a line that
        breaks after every gigabyte is slow, not dead.

        Raises
        ------
        InputError
            If too many attempts in a row fail.
        StoppedError
            If the fetch is interrupted.
        """
        failures = 0
        while True:
            self.raise_if_stopped()
            try:
                return attempt()
            except TransientError as error:
                failures = 1 if error.progress >= self.settings.chunk_bytes else failures + 1
                if failures >= self.settings.attempts:
                    raise InputError(
                        f"{url} failed {failures} times in a row, at last with: {error.problem}.",
                        "Try again later: the same command goes on from here.",
                    ) from error
                self.stop.wait(self._pause(failures, error.pause))

    def throttle(self, n_bytes: int) -> None:
        """Wait until `n_bytes` more fit the rate limit."""
        if self.settings.max_bytes_per_second is None:
            return
        with self._rate_lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + n_bytes / self.settings.max_bytes_per_second
            wait = self._free_at - now
        self.stop.wait(wait)

    def raise_if_stopped(self) -> None:
        """Raise `StoppedError` once `stop` is set."""
        if self.stop.is_set():
            raise StoppedError

    def check_address(self, url: str) -> None:
        """Refuse an address that the user gave, or a description has, and that is not safe.

        Raises
        ------
        ConfigError
            If it is not https (or http where allowed), or carries a password.
        """
        parts = urlsplit(url)
        if parts.username or parts.password:
            # Without the address: messages end in logs.
            raise ConfigError(
                f"The address of {parts.hostname} carries a user name or a password.",
                "It would end in logs. Use a mirror that needs none.",
            )
        if parts.scheme not in self._schemes or not parts.hostname:
            raise ConfigError(
                f"{url} is not an address we fetch from: only {' or '.join(sorted(self._schemes))}"
                " is allowed.",
                "Give an https address"
                + ("." if "http" in self._schemes else ", or --allow-http for a trusted network."),
            )

    def _follow(
        self, url: str, method: str, headers: Mapping[str, str]
    ) -> urllib3.BaseHTTPResponse:
        """Ask, and go after redirects by hand: the library would follow them to plain http."""
        start = url
        for _ in range(_MAX_REDIRECTS + 1):
            response = self._pool_for(url).request(
                method,
                url,
                # Identity: the bytes on disk must be the archive's own, checksum and all.
                headers={
                    "User-Agent": f"catalog-builder/{__version__}",
                    "Accept-Encoding": "identity",
                    **headers,
                },
                redirect=False,
                retries=False,
                preload_content=False,
                timeout=urllib3.Timeout(
                    connect=self.settings.timeout_seconds, read=self.settings.timeout_seconds
                ),
            )
            if response.status not in _REDIRECTS:
                return response
            target = response.headers.get("Location", "")
            response.close()
            url = self._check_redirect(start, url, target)
        raise InputError(f"{start} redirects more than {_MAX_REDIRECTS} times.", "Use a mirror.")

    def _check_redirect(self, start: str, url: str, target: str) -> str:
        joined = urljoin(url, target)
        scheme = urlsplit(joined).scheme
        downgrade = urlsplit(url).scheme == "https" and scheme != "https"
        if not target or downgrade or scheme not in self._schemes:
            raise InputError(
                f"{start} redirects to {joined if target else 'nowhere'}, which is refused: "
                "we stay on https.",
                "Check the address, or use a mirror with --root.",
            )
        try:
            self.check_address(joined)
        except ConfigError as error:
            raise InputError(f"{start} redirects: {error.problem}", error.way_out) from error
        return joined

    def _pool_for(self, url: str) -> urllib3.PoolManager:
        """Return the connections for `url`: direct, or through the proxy of the environment."""
        parts = urlsplit(url)
        proxy = getproxies().get(parts.scheme)
        if proxy is not None and proxy_bypass(parts.hostname or ""):
            proxy = None
        with self._lock:
            if proxy not in self._pools:
                self._pools[proxy] = _new_pool(proxy, self.settings.jobs)
            return self._pools[proxy]

    def _pause(self, failures: int, asked: float | None) -> float:
        grown: float = self.settings.pause_seconds * 2.0 ** min(failures - 1, 30)
        # Jitter keeps many downloads that broke together from coming back together.
        grown *= random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        return min(max(grown, asked or 0.0), self.settings.max_pause_seconds)


def _new_pool(proxy: str | None, jobs: int) -> urllib3.PoolManager:
    if proxy is None:
        return urllib3.PoolManager(maxsize=jobs)
    parts = urlsplit(proxy)
    headers = None
    if parts.username:
        secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers = urllib3.make_headers(proxy_basic_auth=secret)
    try:
        return urllib3.ProxyManager(proxy, maxsize=jobs, proxy_headers=headers)
    except (LocationParseError, urllib3.exceptions.ProxySchemeUnknown) as error:
        raise ConfigError(
            "The proxy of the environment is not an address.", "Correct https_proxy."
        ) from error


def _check_status(url: str, response: urllib3.BaseHTTPResponse, statuses: Collection[int]) -> None:
    status = response.status
    if status in statuses:
        return
    if status >= 500 or status in _PASSING:
        try:
            pause = urllib3.Retry().get_retry_after(response)
        except InvalidHeader:
            pause = None
        raise TransientError(f"the server answered {status} {response.reason or ''}".strip(), pause)
    raise InputError(
        f"{url} cannot be fetched: the server answered {status} {response.reason or ''}".strip()
        + ".",
        "Check the address in the release or survey description, or use a mirror with --root.",
    )


def _place(url: str) -> str:
    return urlsplit(url).netloc
