"""Write the reference pages of the documentation from what the program itself says.

Run ``make docs`` after changing a setting or a schema; a test fails while a page is out of date.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer

import catalog_builder
from catalog_builder.cli.program import app
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


def commands() -> str:
    """Return the page of all commands and their options."""
    group = typer.main.get_command(app)
    text = (
        "# Commands\n\n"
        "What `catalog-builder COMMAND --help` prints, for every command. The steps of a run\n"
        "(ingest, training-set, train, predict, publish) take the options of run.\n"
    )
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        text += f"\n## {name}\n\n{command.help}\n"
        if name in _STEPS:
            text += "\nOptions: those of run.\n"
            continue
        shown = [each for each in command.params if not getattr(each, "hidden", False)]
        text += "\n" + "".join(f"- {_option(each)}\n" for each in shown)
    return text


#: Commands that are one step of a run, with the same options.
_STEPS = ("ingest", "training-set", "train", "predict", "publish")


def _option(option: Any) -> str:
    names = [*option.opts, *option.secondary_opts]
    if names[0].startswith("-"):
        value = "" if option.is_flag else f" {option.metavar or option.name.upper()}"
    else:
        names, value = [option.metavar or option.name.upper()], ""
    default = option.default
    plain = isinstance(default, str | int | float) and not isinstance(default, bool)
    words = f" Default: {default}." if plain and default != "" and not option.required else ""
    required = " Required." if option.required and names[0].startswith("-") else ""
    return f"`{', '.join(names)}{value}`: {option.help}{words}{required}"


def python() -> str:
    """Return the page of what can be imported, which the site fills with the docstrings."""
    names = [name for name in sorted(catalog_builder.__all__) if not name.startswith("_")]
    names = [name for name in names if not name.isupper()]  # constants
    kinds = {name: "class" if name[0].isupper() else "function" for name in names}
    blocks = "".join(f".. auto{kinds[name]}:: catalog_builder.{name}\n\n" for name in names)
    listed = ", ".join(f"`{name}`" for name in names)
    return (
        "# Python\n\n"
        f"What `import catalog_builder` gives: {listed}.\n"
        "The site shows the docstring of each; `help(catalog_builder.open_catalog)` does so\n"
        "anywhere. Names that are not on this page are the program's own, and may change.\n\n"
        f"```{{eval-rst}}\n{blocks.rstrip()}\n```\n"
    )


PAGES = {
    "configuration.md": configuration,
    "schema.md": schema,
    "commands.md": commands,
    "python.md": python,
}


def main() -> int:
    """Write the pages that are not as they should be, and name them."""
    for name, page in PAGES.items():
        file, text = HERE / name, page()
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
            print(f"docs/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
