"""The checks that are sealed with a catalogue, read again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from catalog_builder.catalog.check_record import Check
from catalog_builder.catalog.layout import REPORT_NAME, find_catalogue
from catalog_builder.catalog.release_json import read_release
from catalog_builder.ground.errors import CatalogueError, CheckError


def sealed_checks(path: Path) -> tuple[Check, ...]:
    """Return the checks of a catalogue.

    Parameters
    ----------
    path : Path
        The folder of a version, or of a release, of which the latest version is taken.

    Raises
    ------
    CatalogueError
        If there is no catalogue, its record is not what was sealed, or it holds no checks.
    """
    folder = find_catalogue(path)
    record = read_release(folder)
    if record.seal != record.expected_seal():
        raise CatalogueError(
            f"{folder / 'RELEASE.json'} is not what was sealed.", "Restore it from a copy."
        )
    if record.checks is None:
        raise CatalogueError(
            f"{folder} holds no checks: it was published by an earlier version.",
            "Publish it again.",
        )
    return record.checks


def refuse_failed(path: Path, checks: Sequence[Check]) -> None:
    """End with an exit code of its own where a check failed.

    Raises
    ------
    CheckError
        With how many.
    """
    if failed := [check for check in checks if check.state == "fail"]:
        there = (find_catalogue(path) / REPORT_NAME).is_file()  # publish.report may be off
        shown = f"Its {REPORT_NAME} shows them; " if there else ""
        raise CheckError(
            f"{path}: {len(failed)} of {len(checks)} checks failed:"
            f" {', '.join(check.title for check in failed)}.",
            f"{shown}docs/checks.md says what each means.",
        )
