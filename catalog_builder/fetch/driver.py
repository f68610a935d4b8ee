"""Fetch an archive: plan, check the disk, bring the checksum lists, then all files in parallel."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from catalog_builder.archive.files import read_checksums
from catalog_builder.archive.release import ReleaseSpec
from catalog_builder.archive.tables import TableName
from catalog_builder.fetch.client import Client
from catalog_builder.fetch.download import Downloader, Progress
from catalog_builder.fetch.plan import Download, FetchPlan, Folder, make_plan
from catalog_builder.fetch.settings import FetchSettings
from catalog_builder.ground.errors import CatalogBuilderError, InputError, ResourceError, StoreError
from catalog_builder.labels.survey import LabelSurvey
from catalog_builder.runtime.lock import driver_lock

_FAILURES_SHOWN = 10


@dataclass(frozen=True)
class FetchReport:
    """What a fetch did.

    Parameters
    ----------
    n_files, n_bytes : int
        All files of the plan, now complete on disk.
    n_fetched : int
        Those that had to be brought, wholly or in part.
    bytes_received : int
        Bytes that came over the network for them, the listings not counted.
    unverified : tuple of Path
        Files for which the source gives no checksum.
    """

    n_files: int
    n_bytes: int
    n_fetched: int
    bytes_received: int
    unverified: tuple[Path, ...]

    def to_text(self) -> str:
        """Return the report in words."""
        lines = [
            f"{self.n_files} files, {self.n_bytes / 1e9:.3f} GB, complete; {self.n_fetched} of them"
            f" fetched now ({self.bytes_received / 1e9:.3f} GB received)."
        ]
        if self.unverified:
            names = ", ".join(path.name for path in self.unverified[:_FAILURES_SHOWN])
            lines.append(
                f"warning: no checksum is published for {len(self.unverified)} files ({names}"
                f"{' ...' if len(self.unverified) > _FAILURES_SHOWN else ''}): only their size"
                " was compared."
            )
        return "\n".join(lines)


@dataclass
class _Outcome:
    """What has been brought so far, and what could not be."""

    fetched: set[Path] = field(default_factory=set)
    failed: list[tuple[str, CatalogBuilderError]] = field(default_factory=list)


def plan_fetch(
    release: ReleaseSpec,
    survey: LabelSurvey | None,
    out: Path,
    *,
    settings: FetchSettings,
    tables: Sequence[TableName] | None = None,
    ranges: Sequence[str] = (),
    root: str | None = None,
    listing: str | None = None,
    allow_http: bool = False,
) -> FetchPlan:
    """List what `fetch_archive` would bring, without writing anything.

    Parameters and errors are those of `fetch_archive`.
    """
    return make_plan(
        Client(settings, allow_http=allow_http),
        release,
        survey,
        out,
        tables=tables,
        ranges=ranges,
        root=root,
        listing=listing,
    )


def fetch_archive(
    release: ReleaseSpec,
    survey: LabelSurvey | None,
    out: Path,
    *,
    settings: FetchSettings,
    tables: Sequence[TableName] | None = None,
    ranges: Sequence[str] = (),
    root: str | None = None,
    listing: str | None = None,
    allow_http: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> FetchReport:
    """Bring tables of a release, and a label survey's file, to a folder, as an archive.

    What is there and right is not fetched again, what is there in part is gone on with, and a
    file gets its name only when it is complete and has the published checksum. A file that
    fails does not keep the others from coming.

    Parameters
    ----------
    release : ReleaseSpec
        What to fetch from, and how its tables are cut.
    survey : LabelSurvey or None
        The label survey whose file is wanted too.
    out : Path
        Folder that becomes the archive's root; nothing is written outside it.
    settings : FetchSettings
        Limits, patience and checks.
    tables : sequence of str or None
        Tables wanted; None for the source table and the driving tables, empty for none.
    ranges : sequence of str
        ``start-stop`` or single pixels, as in `layout.list_partitions`; empty for all.
    root, listing : str or None
        Addresses that replace those of the release description: a mirror's.
    allow_http : bool
        Whether addresses may be unencrypted.
    on_progress : callable or None
        Called with (bytes done, bytes in total) from the threads, one at a time.

    Returns
    -------
    FetchReport

    Raises
    ------
    ConfigError
        If a table, a range or an address is not one.
    InputError
        If a listing cannot be had, or, after all others came, for the files that did not.
    ResourceError
        If the disk does not hold what is missing.
    StoreError
        If another fetch is at work in `out`, or it cannot be written.
    """
    client = Client(settings, allow_http=allow_http)
    plan = make_plan(
        client, release, survey, out, tables=tables, ranges=ranges, root=root, listing=listing
    )
    _check_disk(plan, out, settings.disk_margin)
    _make_folder(out)
    progress = Progress(plan.n_bytes, on_progress)
    outcome = _Outcome()
    with driver_lock(out / ".fetch.lock"), _workers(client) as pool:
        downloader = Downloader(client, progress)
        folders = [_with_checksums(folder, downloader, outcome) for folder in plan.folders]
        # By range, not by table: a fetch that is broken off leaves whole partitions.
        files = sorted(
            (file for folder in folders for file in folder.files),
            key=lambda file: file.limits or (-1, -1),
        )
        _fetch_all(files, pool, downloader, outcome)
    if outcome.failed:
        raise _failure(plan, outcome)
    return FetchReport(
        n_files=plan.n_files,
        n_bytes=sum(file.path.stat().st_size for file in plan.downloads()),
        n_fetched=len(outcome.fetched),
        bytes_received=progress.received,
        unverified=tuple(file.path for file in files if file.checksum is None),
    )


def _check_disk(plan: FetchPlan, out: Path, margin: float) -> None:
    """Refuse a plan that the disk of `out` does not hold.

    Raises
    ------
    ResourceError
        If what is missing, and `margin` (a share) more, exceeds the free bytes.
    """
    there = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    missing = plan.n_bytes - plan.bytes_there
    if missing * (1.0 + margin) > free:
        raise ResourceError(
            f"{missing / 1e9:.1f} GB are to be fetched, but the disk of {out} has"
            f" {free / 1e9:.1f} GB free (a margin of {margin:.0%} is kept).",
            "Fetch fewer tables (--table) or ranges (--ranges), or give another --out.",
        )


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The folder {out} cannot be made: {error.strerror}.", "Give another --out."
        ) from error
    if not os.access(out, os.W_OK):
        raise StoreError(f"The folder {out} cannot be written.", "Give another --out.")


@contextmanager
def _workers(client: Client) -> Iterator[ThreadPoolExecutor]:
    """Give the threads; when the caller is interrupted, they stop at their next piece."""
    pool = ThreadPoolExecutor(client.settings.jobs, thread_name_prefix="fetch")
    try:
        yield pool
    except BaseException:
        client.stop.set()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _with_checksums(folder: Folder, downloader: Downloader, outcome: _Outcome) -> Folder:
    """Bring a folder's checksum list and put each file's checksum to it.

    Without its list none of the folder's files is fetched: they could not be trusted.
    """
    listed, rule = folder.checksum_list, folder.rule
    if listed is None or rule is None:
        return folder
    try:
        if downloader.fetch(listed):
            outcome.fetched.add(listed.path)
        checksums = read_checksums(
            str(listed.path.parent), {rule.file_name}, rule, by_path=folder.by_path
        )
    except CatalogBuilderError as error:
        names = f"{listed.path.name} of {folder.name}, and so its {len(folder.files)} files"
        outcome.failed.append((names, error))
        return replace(folder, files=())
    return replace(
        folder,
        files=tuple(
            replace(file, checksum=checksums.get(folder.listed_as(file))) for file in folder.files
        ),
    )


def _fetch_all(
    files: Sequence[Download],
    pool: ThreadPoolExecutor,
    downloader: Downloader,
    outcome: _Outcome,
) -> None:
    futures: dict[Future[bool], Download] = {
        pool.submit(downloader.fetch, file): file for file in files
    }
    for future in as_completed(futures):
        file = futures[future]
        try:
            if future.result():
                outcome.fetched.add(file.path)
        except CatalogBuilderError as error:
            outcome.failed.append((file.path.name, error))


def _failure(plan: FetchPlan, outcome: _Outcome) -> CatalogBuilderError:
    """Return one error for all files that failed, with the first few of them in words."""
    failed = sorted(outcome.failed, key=lambda item: item[0])
    shown = "\n".join(f"  {name}: {error}" for name, error in failed[:_FAILURES_SHOWN])
    more = len(failed) - _FAILURES_SHOWN
    if more > 0:
        shown += f"\n  and {more} more"
    return _common_class([error for _, error in failed])(
        f"{len(failed)} of {plan.n_files} files could not be fetched; all others are complete:\n"
        f"{shown}\n",
        "The same command fetches these, and goes on where they broke off.",
    )


def _common_class(errors: Sequence[CatalogBuilderError]) -> type[CatalogBuilderError]:
    kinds = {type(error) for error in errors}
    if ResourceError in kinds:
        return ResourceError
    return kinds.pop() if len(kinds) == 1 else InputError
