"""YAML descriptions in ``schemas/``: found by name or path, validated, errors that name the key."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from catalog_builder.ground.documents import DocumentError, parse_yaml, read_document
from catalog_builder.ground.errors import ConfigError
from catalog_builder.ground.resources import schemas_dir, shipped_files


class Description(BaseModel):
    """Base of every part of a description: immutable, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Grown(Description):
    """A part of a description to which keys were added after it had been released.

    Attributes
    ----------
    added : tuple of str
        Keys that are not written while they have their default, so that the digests of older
        descriptions stay theirs.
    """

    added: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _as_before(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = serialise(self)
        for name in self.added:
            default = type(self).model_fields[name].get_default(call_default_factory=True)
            if getattr(self, name) == default:
                content.pop(name, None)
        return content


ModelT = TypeVar("ModelT", bound=Description)


def load_description(model: type[ModelT], folder: str, name_or_path: str | Path) -> ModelT:
    """Load ``schemas/<folder>/<name>.yaml``, or the YAML file at a path.

    Raises
    ------
    ConfigError
        If there is no such description, it is not YAML, or a key in it is wrong; the message
        names the key and lists what is allowed there.
    """
    path = find_description(folder, name_or_path)
    try:
        content = parse_yaml(read_document(path))
    except (OSError, DocumentError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.", "Correct the file.") from error
    if not isinstance(content, dict):
        raise ConfigError(
            f"{path} is not a mapping of settings.",
            f"Its keys are: {_listed(model.model_fields)}.",
        )
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ConfigError(_explain(model, path, error), "Correct that key.") from error


def find_description(folder: str, name_or_path: str | Path) -> Path:
    """Return the file of a description, by its name in ``schemas/<folder>`` or its path.

    Raises
    ------
    ConfigError
        If there is none.
    """
    given = Path(name_or_path)
    if given.suffix in {".yaml", ".yml"}:
        if given.is_file():
            return given
        why = ": that is a folder" if given.is_dir() else ""
        raise ConfigError(f"There is no description {given}{why}.", "Check the path.")
    path = schemas_dir() / folder / f"{given}.yaml"
    if given.name == str(given) and path.is_file():
        return path
    known = [file.stem for file in shipped_files(folder)]
    near = difflib.get_close_matches(str(given).lower().removesuffix("-demo"), known, n=1)
    meant = f"Did you mean {near[0]}? " if near else ""
    raise ConfigError(
        f"There is no description {str(name_or_path)!r} among schemas/{folder}.",
        f"{meant}Give one of {_listed(known)}, or the path of a YAML file.",
    )


def _explain(model: type[BaseModel], path: Path, error: ValidationError) -> str:
    sentences = []
    for detail in error.errors(include_url=False):
        location = detail["loc"]
        # What is wrong between keys has no place of its own, and names them.
        place = ".".join(_keys_in(model, location))
        key = f"{place}: " if place else ""
        if detail["type"] == "extra_forbidden":
            allowed = _listed(_fields_at(model, location[:-1]))
            sentences.append(f"{key}unknown key. Allowed here: {allowed}.")
        elif detail["type"] == "missing":
            sentences.append(f"{key}this key is missing.")
        else:
            message = detail["msg"].removeprefix("Value error, ").rstrip(".")
            given = detail["input"]
            seen = "" if isinstance(given, dict) else f"; it is {given!r:.80}"
            sentences.append(f"{key}{message}{seen}.")
    return f"{path}: " + " ".join(sentences)


def _fields_at(model: type[BaseModel], location: Iterable[int | str]) -> list[str]:
    """Names of the fields allowed at a location of pydantic's error."""
    kind: Any = model
    for part in location:
        kind, _ = _step(kind, part)
    candidate = _model_in(kind)
    return sorted(candidate.model_fields) if candidate else []


def _keys_in(model: type[BaseModel], location: Iterable[int | str]) -> Iterator[str]:
    """Yield the keys of a location of pydantic's error, without its marks for kinds."""
    kind: Any = model
    for part in location:
        kind, is_key = _step(kind, part)
        if is_key and part != "[key]":
            yield str(part)


def _step(kind: Any, part: int | str) -> tuple[Any, bool]:
    """Go to a part of a location; say whether it is a key, or one of several kinds."""
    options = _options(kind)
    for option in options:
        if _is_model(option) and part in option.model_fields:
            return option.model_fields[str(part)].annotation, True
    for option in options:
        if _is_model(option) and part in {option.__name__, *_marks_of(option)}:
            return option, False
        arguments = typing.get_args(option)
        if typing.get_origin(option) is dict:
            return arguments[1], True
        if typing.get_origin(option) in {tuple, list}:
            return arguments[0], True
    return kind, True


def _marks_of(model: type[BaseModel]) -> tuple[Any, ...]:
    """Return by which values of `kind` a model is told from others."""
    field = model.model_fields.get("kind")
    return () if field is None else typing.get_args(field.annotation)


def _options(kind: Any) -> tuple[Any, ...]:
    if typing.get_origin(kind) is typing.Annotated:
        return _options(typing.get_args(kind)[0])
    if typing.get_origin(kind) in {typing.Union, types.UnionType}:
        return tuple(option for each in typing.get_args(kind) for option in _options(each))
    return (kind,)


def _is_model(option: Any) -> bool:
    return isinstance(option, type) and issubclass(option, BaseModel)


def _model_in(kind: Any) -> type[BaseModel] | None:
    return next((option for option in _options(kind) if _is_model(option)), None)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "(nothing)"
