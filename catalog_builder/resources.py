"""Where the descriptions and tables shipped with the program lie."""

from __future__ import annotations

from pathlib import Path

import catalog_builder

_PACKAGE = Path(catalog_builder.__file__).parent


def schemas_dir() -> Path:
    """Return the folder of ``schemas/``: inside an installed wheel, or beside a checkout."""
    installed = _PACKAGE / "schemas"
    return installed if installed.is_dir() else _PACKAGE.parent / "schemas"
