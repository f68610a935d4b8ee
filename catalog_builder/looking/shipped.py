"""The descriptions that come with the program, as their files are: to be read, or changed."""

from __future__ import annotations

import difflib
from typing import Final

from catalog_builder.ground.errors import ConfigError
from catalog_builder.ground.resources import shipped_files

#: Folders of descriptions that a user may want to copy and change.
_FOLDERS: Final = ("releases", "labels", "comparisons", "simulations")


def list_shipped() -> str:
    """Return the names of all descriptions, by folder, as lines."""
    return "\n".join(
        f"{folder:<14}{', '.join(file.stem for file in shipped_files(folder))}"
        for folder in _FOLDERS
    )


def read_shipped(name: str) -> str:
    """Return the text of a description.

    Parameters
    ----------
    name : str
        ``dr4``, or with its folder, ``labels/apogee-dr17``. Where several folders have one of the
        name, the first of `list_shipped` counts.

    Raises
    ------
    ConfigError
        If there is none; the message has those that there are.
    """
    plain = name.removesuffix(".yaml")
    for folder in _FOLDERS:
        for file in shipped_files(folder):
            if plain in {file.stem, f"{folder}/{file.stem}"}:
                return file.read_text(encoding="utf-8")
    known = [file.stem for folder in _FOLDERS for file in shipped_files(folder)]
    near = difflib.get_close_matches(plain.rpartition("/")[2], known, n=1)
    meant = f"Did you mean {near[0]}? " if near else ""
    raise ConfigError(
        f"There is no description {name!r} that comes with the program.",
        f"{meant}`catalog-builder show` lists them.",
    )
