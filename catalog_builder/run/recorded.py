"""The settings of a workdir's last run, as it wrote them down."""

from __future__ import annotations

from pydantic import ValidationError

from catalog_builder.ground.errors import StoreError
from catalog_builder.run.config import RunConfig
from catalog_builder.runtime.workdir import Workdir


def recorded_config(workdir: Workdir) -> RunConfig:
    """Return the settings of the last run that got as far as a plan.

    Raises
    ------
    StoreError
        If there is none, or the file is damaged.
    """
    file = workdir.root / "config.json"
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise StoreError(
            f"No run in {workdir.root} got as far as a plan, so nothing is known of any source.",
            "`catalog-builder status` says why the last one ended.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(
            f"{file} cannot be read: {error}.",
            "Give the run's command again: it writes the file anew.",
        ) from None
    try:
        return RunConfig.model_validate_json(text)
    except ValidationError:
        raise StoreError(
            f"{file} is damaged or of another version of the program.",
            "Give the run's command again: it writes the file anew.",
        ) from None
