"""Where the descriptions and tables shipped with the program lie."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def schemas_dir() -> Path:
    """Return the folder of ``schemas/``: inside an installed wheel, or beside a checkout."""
    installed = _PACKAGE / "schemas"
    return installed if installed.is_dir() else _PACKAGE.parent / "schemas"


def shipped_files(folder: str) -> list[Path]:
    """Return the descriptions in a folder of ``schemas/``, by name."""
    return sorted((schemas_dir() / folder).glob("*.yaml"))
