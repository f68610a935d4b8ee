"""The Dask performance report of a run, saved beside its log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from distributed import Client, performance_report

from catalog_builder.ground.errors import CatalogBuilderError, ClusterError
from catalog_builder.runtime.redaction import redact
from catalog_builder.runtime.workdir import write_atomically

#: A scheduler that is too busy for its report is not waited for any longer.
TIMEOUT_SECONDS = 30


@contextmanager
def saved_report(client: Client, file: Path, warn: Callable[[str], None]) -> Iterator[None]:
    """Gather a performance report while the body runs, and save it as one HTML page.

    A report that cannot be made is a warning: the run is not for its report. None is made when
    the run is interrupted or its cluster is lost.
    """
    raw = file.with_name(f".{file.name}.partial")
    report = performance_report(filename=str(raw))
    try:
        client.sync(report.__aenter__, callback_timeout=TIMEOUT_SECONDS)
    except Exception as error:  # noqa: BLE001 - whatever it is, it concerns the report alone
        warn(f"no performance report: {error}")
        yield
        return
    try:
        yield
    except ClusterError:
        raise
    except CatalogBuilderError:
        _save(client, report, raw, file, warn)
        raise
    _save(client, report, raw, file, warn)


def _save(
    client: Client, report: performance_report, raw: Path, file: Path, warn: Callable[[str], None]
) -> None:
    try:
        client.sync(report.__aexit__, None, None, None, code="", callback_timeout=TIMEOUT_SECONDS)
        write_atomically(file, redact(raw.read_text(encoding="utf-8")).encode())
    except Exception as error:  # noqa: BLE001 - as above
        warn(f"no performance report: {error}")
    finally:
        with suppress(OSError):
            raw.unlink()
