"""Errors that a user may see: each names the thing that is wrong and the way out.

Anything else that escapes is a defect of the program. The exit code belongs to the class, so that
a shell script can tell a wrong setting from a damaged archive (``docs/operations.md`` lists them).
"""

from __future__ import annotations

from typing import ClassVar, Final

#: Characters of a problem that are told: what it quotes may come from a file of any size.
_MAX_PROBLEM: Final = 4_000


class CatalogBuilderError(Exception):
    """Base of every error meant for the user.

    Parameters
    ----------
    problem : str
        What is wrong, naming the file, row or setting.
    way_out : str, optional
        What the user can do about it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, problem: str, way_out: str = "") -> None:
        if len(problem) > _MAX_PROBLEM:
            problem = f"{problem[:_MAX_PROBLEM]} ..."
        super().__init__(problem, way_out)
        self.problem = problem
        self.way_out = way_out

    def __str__(self) -> str:
        return f"{self.problem} {self.way_out}".strip()


class ConfigError(CatalogBuilderError):
    """A setting, a command-line option or a description in ``schemas/`` is wrong."""

    exit_code = 3


class InputError(CatalogBuilderError):
    """The archive or the label survey is absent, unreadable, damaged or not as described."""

    exit_code = 4


class StoreError(CatalogBuilderError):
    """Something in the workdir is missing, foreign, damaged or held by another run."""

    exit_code = 5


class ClusterError(CatalogBuilderError):
    """The Dask cluster cannot be reached, lost a task for good, or has no suitable worker."""

    exit_code = 6


class ModelError(CatalogBuilderError):
    """A model directory is damaged or does not fit its inputs, or training cannot go on."""

    exit_code = 7


class CatalogueError(CatalogBuilderError):
    """A catalogue is not what its schema and its seal say."""

    exit_code = 8


class ResourceError(CatalogBuilderError):
    """The plan does not fit the memory or the disk at hand; refused before work starts."""

    exit_code = 9


class CheckError(CatalogBuilderError):
    """A check that is sealed with a catalogue failed."""

    exit_code = 11


class AlarmError(CatalogBuilderError):
    """A strict run is done, and its stars are far from those that the model was made for."""

    exit_code = 10
