"""Where a label survey's file lies."""

from __future__ import annotations

import fsspec

from catalog_builder.archive.files import FileRef, modification_time
from catalog_builder.errors import InputError
from catalog_builder.labels.survey import LabelSurvey


def find_survey(survey: LabelSurvey, given: str | None, archive: str) -> FileRef:
    """Find the file of a survey: the one given, or the first of its candidates in the archive.

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
        If there is none.
    """
    candidates = [given] if given else [f"{archive.rstrip('/')}/{name}" for name in survey.files]
    for url in candidates:
        try:
            filesystem, path = fsspec.url_to_fs(url)
        except (ValueError, ImportError, OSError) as error:
            raise InputError(
                f"The label file {url} cannot be opened: {error}.",
                "Give a path, or a URL whose file system is installed.",
            ) from error
        if filesystem.isfile(path):
            info = filesystem.info(path)
            return FileRef(url, size=int(info["size"]), mtime=modification_time(info))
    if given:
        what = "is a folder, not a file" if filesystem.isdir(path) else "is not there"
        raise InputError(f"The label file {given} {what}.", "Check --labels.")
    raise InputError(
        f"The file of {survey.title} is not in the archive; looked for {', '.join(candidates)}.",
        "Give it with --labels, or --archive the folder above these, or take a trained --model.",
    )
