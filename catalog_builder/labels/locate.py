"""Where a label survey's file lies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from catalog_builder.archive.files import FileRef, make_file
from catalog_builder.archive.storage import (
    errors_as_os_errors,
    filesystem_of,
    find_out,
    why_no_file,
)
from catalog_builder.ground.errors import InputError
from catalog_builder.labels.survey import LabelSurvey


def find_survey(survey: LabelSurvey, given: str | None, archive: str) -> FileRef:
    """Find the file of a survey: the one given, or the first of its candidates in the archive.

    Other candidates that are there are named in `FileRef.passed_over`.

    Parameters
    ----------
    survey : LabelSurvey
        Names the candidates.
    given : str or None
        Path or URL of the file.
    archive : str
        Path or URL of the archive, looked at when no file is given.

    Raises
    ------
    InputError
        If there is none, or the first is no file: a pipe, a folder, a link that leads nowhere.
    """
    candidates = [given] if given else [f"{archive.rstrip('/')}/{name}" for name in survey.files]
    what = "The label file" if given else "The archive"
    found = [url for url in candidates if _is_there(*filesystem_of(url, what), url)]
    if not found and given:
        raise InputError(f"The label file {given} is not there.", "Check --labels.")
    if not found:
        raise InputError(
            f"The file of {survey.title} is not in the archive; looked for"
            f" {', '.join(candidates)}.",
            "Give it with --labels, or --archive the folder above these, or take a trained"
            " --model.",
        )
    first, *others = found
    try:
        facts = find_out(*filesystem_of(first, what))
    except OSError as error:
        raise InputError(
            f"The label file {first} cannot be read: {error}.",
            "Check it, or give it with --labels.",
        ) from error
    return replace(make_file(first, facts), passed_over=tuple(others))


def find_crossmatch(survey: LabelSurvey, labels: FileRef, archive: str) -> FileRef | None:
    """Find the table of a survey's crossmatch: in the archive, or beside the survey's file.

    Parameters
    ----------
    survey : LabelSurvey
        Names the candidates, if its identifiers are its own.
    labels : FileRef
        The survey's file.
    archive : str
        Path or URL of the archive; empty for none.

    Raises
    ------
    InputError
        If there is none, or it is no file.
    """
    if survey.crossmatch is None:
        return None
    files, beside = survey.crossmatch.files, labels.url.rpartition("/")[0] or "."
    candidates = [f"{archive.rstrip('/')}/{name}" for name in files if archive]
    candidates += [f"{beside}/{name.rpartition('/')[2]}" for name in files]
    for url in candidates:
        filesystem, path = filesystem_of(url, "The crossmatch")
        if _is_there(filesystem, path, url):
            return make_file(url, find_out(filesystem, path))
    raise InputError(
        f"{survey.title} has identifiers of its own, and the table that says which stars of the"
        f" archive they are is not there; looked for {', '.join(candidates)}.",
        "Put it there, or correct `crossmatch.files` in the survey's description.",
    )


def _is_there(filesystem: Any, path: str, url: str) -> bool:
    try:
        wrong = why_no_file(filesystem, path)
        if wrong is None:
            with errors_as_os_errors():
                return bool(filesystem.exists(path))
    except OSError as error:
        raise InputError(
            f"The label file {url} cannot be looked for: {error}.",
            "Check the address, or give another one with --labels.",
        ) from error
    raise InputError(
        f"The label file {url} cannot be read: {wrong}.",
        "Remove it, or give another one with --labels.",
    )
