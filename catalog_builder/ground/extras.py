"""What only making catalogues needs: the extra `run`. Reading them does without."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final

from catalog_builder.ground.about import DISTRIBUTION
from catalog_builder.ground.errors import ConfigError

#: Packages of the extra, as they are imported. A test compares them with pyproject.toml.
RUN: Final = (
    "bokeh",
    "dask_ml",
    "llvmlite",
    "numba",
    "openTSNE",
    "safetensors",
    "sklearn",
    "threadpoolctl",
    "torch",
    "zero_point",
)


def missing_for_run() -> list[str]:
    """Return the packages of the extra `run` that are not installed."""
    return [name for name in RUN if find_spec(name) is None]


def refuse_without_run(what: str) -> None:
    """Refuse what this installation cannot do, before any work.

    Parameters
    ----------
    what : str
        What was asked for, at the beginning of a sentence.

    Raises
    ------
    ConfigError
        If a package of the extra `run` is not installed.
    """
    if missing := missing_for_run():
        raise _without(what, ", ".join(missing))


@contextmanager
def named_if_missing(what: str) -> Iterator[None]:
    """Name the extra where an import misses a package of it.

    Raises
    ------
    ConfigError
        In place of that error.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in RUN:
            raise
        raise _without(what, package) from None


def _without(what: str, missing: str) -> ConfigError:
    return ConfigError(
        f"{what} needs what is not installed here: {missing}.",
        f"Give `pip install '{DISTRIBUTION}[run]'`; without it catalogues are only read.",
    )
