"""Templates of declarations: repeated for each thing of a contract, their places filled.

An entry of a list in ``schemas/catalog.yaml`` or ``schemas/flags.yaml`` may say ``for`` what it is
repeated (`catalog_builder.contract.places`), and ``with`` which input it is there at all. Places
are names in braces. What depends on how many things there are stands under ``words``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from pydantic import Field, ValidationError

from catalog_builder.contract.contract import Contract
from catalog_builder.contract.description import Description
from catalog_builder.contract.places import THINGS, Places, Thing
from catalog_builder.contract.words import in_words, listed
from catalog_builder.ground.errors import ConfigError

ModelT = TypeVar("ModelT", bound=Description)

_PLACE: Final = re.compile(r"\{([a-z_.]+)\}")
_ONE, _TWO = 1, 2


class Words(Description):
    """A piece of a sentence that depends on how many things there are.

    Attributes
    ----------
    kind : str
        What is counted; in files, ``for``.
    each : str
        What is said of each; together, with commas and `last`, they are the place ``{each}``.
    last : str
        Stands before the last of them.
    none, one, two, more : str
        The piece for no thing, one, two, and more; where `one` or `two` is not given, `more` is.
        The places of the first thing can be used, ``{count}`` (in words) and ``{number}``.
    """

    kind: str = Field(alias="for")
    each: str = ""
    last: str = "and"
    none: str = ""
    one: str | None = None
    two: str | None = None
    more: str = "{each}"


class Entry(NamedTuple):
    """A declaration with its places filled, its template, and the thing that it is of, if any."""

    template: Mapping[str, Any]
    thing: Thing | None
    content: dict[str, Any]

    @property
    def owner(self) -> str:
        """What it is of, in words: ``the label teff``."""
        if self.thing is None:
            return "every catalogue"
        kind, name = str(self.template["for"]).replace("_", " "), self.thing.name
        return f"the {kind}" if kind == name else f"the {kind} {name}"


class Filler:
    """Fills templates with the things of a contract.

    Parameters
    ----------
    contract : Contract
    words : mapping of str to Words
        By the name of their place.
    more : mapping of str to iterable of Thing, optional
        Things that do not follow from the contract, by the word behind ``for``.
    """

    def __init__(
        self,
        contract: Contract,
        words: Mapping[str, Words],
        more: Mapping[str, Iterable[Thing]] | None = None,
    ) -> None:
        self._inputs = frozenset(contract.inputs.names)
        self._words = words
        self._things = {kind: tuple(made(contract)) for kind, made in THINGS.items()}
        self._things |= {kind: tuple(things) for kind, things in (more or {}).items()}

    def entries(self, templates: Iterable[Mapping[str, Any]], inside: str = "") -> Iterator[Entry]:
        """Yield the entries of a list, those of templates repeated.

        Parameters
        ----------
        templates : iterable of mapping
            As they stand in the file.
        inside : str
            Key under which a template may hold several entries, which are repeated together.

        Raises
        ------
        ValueError
            If there is no such thing or place.
        """
        for template in templates:
            own = {key: value for key, value in template.items() if key not in _CONTROL}
            together = own.pop(inside, None)
            if together is None:
                together = [own]
            elif own:
                raise ValueError(f"beside `{inside}` a template has {', '.join(own)}")
            if not {template.get("with")} <= {None, *self._inputs}:
                continue
            kind = template.get("for")
            for thing in (None,) if kind is None else self.things(kind):
                for one in together:
                    yield Entry(template, thing, self.fill(one, thing.places if thing else {}))

    def things(self, kind: str) -> tuple[Thing, ...]:
        """Return the things of a kind; raises ValueError if there is no such kind."""
        if kind not in self._things:
            raise ValueError(f"for: {kind}: it is none of {', '.join(self._things)}")
        return self._things[kind]

    def fill(self, content: Any, places: Places) -> Any:
        """Return text, or whatever holds text, with its places filled.

        A text that is nothing but one place becomes a number where the place is one.
        """
        if isinstance(content, Mapping):
            return {key: self.fill(value, places) for key, value in content.items()}
        if isinstance(content, list | tuple):
            return [self.fill(value, places) for value in content]
        if not isinstance(content, str):
            return content
        if whole := _PLACE.fullmatch(content):
            return self._find(whole[1], places)
        return _PLACE.sub(lambda found: _text(self._find(found[1], places)), content)

    def _find(self, place: str, places: Places) -> str | float:
        if place in places:
            return places[place]
        if place in self._words:
            return self._say(self._words[place], places)
        known = ", ".join([*places, *self._words])
        raise ValueError(f"there is no {{{place}}} here; there are {known or 'no places'}")

    def _say(self, words: Words, places: Places) -> str:
        things = self.things(words.kind)
        count = len(things)
        if count == 0:
            return words.none
        form = {_ONE: words.one, _TWO: words.two}.get(count)
        each = [_text(self.fill(words.each, thing.places)) for thing in things]
        said = {"each": listed(each, words.last), "count": in_words(count), "number": str(count)}
        text = words.more if form is None else form
        return _text(self.fill(text, {**things[0].places, **places, **said}))


#: Keys of a template that are no part of what is declared.
_CONTROL: Final = frozenset({"for", "with", "bits"})


def refuse_shared(what: str, entries: Iterable[Entry]) -> None:
    """Raise ValueError where two declarations have one name; it says whose they are.

    Parameters
    ----------
    what : str
        What is declared.
    entries : iterable of Entry
        Those without a name are passed over.
    """
    owners: dict[str, str] = {}
    for entry in entries:
        name = entry.content.get("name")
        if name in owners:
            first, second = owners[name], entry.owner
            whose = f" of {first} and" if first != second else ""
            raise ValueError(f"{what} {name} is declared twice:{whose} of {second}")
        if name is not None:
            owners[name] = entry.owner


def validated(
    model: type[ModelT],
    content: Mapping[str, Any],
    owners: Mapping[str, Sequence[str]] | None = None,
) -> ModelT:
    """Make a declaration of its content.

    Parameters
    ----------
    model : type
        Of the declaration.
    content : mapping
        Its content.
    owners : mapping of str to sequence of str, optional
        By a key that holds a list, what each of its items is of: `Entry.owner`.

    Raises
    ------
    ValueError
        Which names the key by names, and what it is of.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        keys, at = [], content
        of = (owners or {}).get(str(first["loc"][0])) if len(first["loc"]) > 1 else None
        for part in first["loc"]:
            at = at[part] if _has(at, part) else {}  # type: ignore[index]
            named = isinstance(part, int) and isinstance(at, Mapping) and "name" in at
            keys.append(str(at["name"] if named else part))
        where = ".".join(keys) or "the file as a whole"
        whose = f" ({of[int(first['loc'][1])]})" if of else ""
        why = first["msg"].removeprefix("Value error, ").rstrip(".")
        raise ValueError(f"{where}: {why}{whose}") from error


def _has(content: Any, part: int | str) -> bool:
    if isinstance(content, list | tuple):
        return isinstance(part, int) and part < len(content)
    return isinstance(content, Mapping) and part in content


@contextmanager
def named_as(path: Path) -> Iterator[None]:
    """Make of a wrong template an error that names its file.

    Raises
    ------
    ConfigError
    """
    try:
        yield
    except (ValueError, TypeError, KeyError) as error:
        what = f"a key is missing: {error}" if isinstance(error, KeyError) else str(error)
        raise ConfigError(
            f"{path}: {what}.", "Correct the file, or the release or the survey that fills it."
        ) from error


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"
