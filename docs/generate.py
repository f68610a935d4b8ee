"""Write the reference pages of the documentation from what the program itself says.

Run ``make docs`` after changing a setting or a schema; a test fails while a page is out of date.
"""

from __future__ import annotations

import sys
from pathlib import Path

from catalog_builder.labels.agreed import default_schema
from catalog_builder.run.config import RunConfig, to_yaml

HERE = Path(__file__).parent


def configuration() -> str:
    """Return the page of all settings."""
    return (
        "# Configuration\n\n"
        "Every setting with its default, as `catalog-builder run --print-config` prints it. Give\n"
        "your own in a YAML file with `--config FILE`, one at a time with `--set key=value`, or\n"
        "by the options of `run`; the later in this list win. An unknown key is an error.\n\n"
        f"```yaml\n{to_yaml(RunConfig())}```\n"
    )


def schema() -> str:
    """Return the page of all columns and flags."""
    return (
        "# Columns and flags\n\n"
        "What `catalog-builder describe` prints, from `schemas/catalog.yaml` and\n"
        "`schemas/flags.yaml`, for the labels of APOGEE and the inputs of Gaia DR3. `describe\n"
        "CATALOGUE` prints those of a catalogue; `--survey` and `--release` take others.\n\n"
        f"```text\n{default_schema().describe().rstrip()}\n```\n"
    )


PAGES = {"configuration.md": configuration, "schema.md": schema}


def main() -> int:
    """Write all pages."""
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")
        print(f"docs/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
