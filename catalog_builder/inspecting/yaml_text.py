"""A drafted description as YAML, with a mark behind each line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from catalog_builder.inspecting.drafting import CHECK, FOUND, Draft, Path
from catalog_builder.inspecting.finding import NOT_FOUND, listed
from catalog_builder.inspecting.older_remarks import OlderRemarks

#: Keys whose mappings stand on one line.
_FLAT: Final = {
    "grid",
    "model_grid",
    "normalisation",
    "announced_by",
    "values",
    "bands",
    "checksums",
}
_MARK_AT: Final = 60


#: Of what is unlike the older release, in the head.
_SHOWN: Final = 12


@dataclass(frozen=True)
class Older:
    """The release that a draft takes its other lines from.

    Attributes
    ----------
    name : str
        What its lines are marked with.
    remarks : OlderRemarks
        What it says of its lines itself.
    """

    name: str
    remarks: OlderRemarks


def to_text(draft: Draft, older: Older, about: str, next_steps: Iterable[str] = ()) -> str:
    """Return the YAML of a draft: each line is found, from the older release, or to be checked.

    Parameters
    ----------
    draft : Draft
        The description.
    older : Older
        The release from which the other lines are.
    about : str
        What it was made from, for the head.
    next_steps : iterable of str
        What a user of it should know beside, for the head.
    """
    head = [
        f"A draft, made by `catalog-builder inspect` from {about}.",
        f"Lines marked `{FOUND}` were seen in its files, lines marked `{older.name}` are as in that"
        " release,",
        f"and lines marked `{CHECK}` are guesses.",
        *_lacking(draft),
        *carried_in_words(draft, older.name),
        *draft.remarks,
        *next_steps,
    ]
    body = list(_mapping(draft.content, (), draft, older))
    if any(f"  # {older.name} [" in line for line in body):
        head.insert(3, f"Words in brackets behind `{older.name}` are that description's own.")
    lines = [f"# {_on_one_line(line)}" for line in head]
    return "\n".join([*lines, "", *body]) + "\n"


def carried_in_words(draft: Draft, older: str) -> Iterator[str]:
    """Say which rules are the older release's alone, if any are."""
    if draft.carried:
        lines = ", ".join(".".join(map(str, path)) for path in draft.carried)
        yield (
            f"RULES OF {older}, to be checked, for the archive is not wholly like it"
            f" ({listed(draft.unlike, _SHOWN)}): {lines}."
        )


def _lacking(draft: Draft) -> Iterator[str]:
    if draft.lacking:
        yield f"FILL IN, where lines are marked `{NOT_FOUND}`: {', '.join(draft.lacking)}."


def _mapping(
    content: Mapping[str, Any], path: Path, draft: Draft, older: Older, above: str = ""
) -> Iterator[str]:
    """Yield the lines of a mapping; `above` is the mark of one that is not the older release's."""
    indent = "  " * len(path)
    for key, value in content.items():
        here = (*path, key)
        if not above and _is_carried(here, value, draft):
            yield from _comments(indent, older.remarks.above.get(here, ()))
        own = draft.marks.get(here, "")
        mark = own or ("" if above else _mark_of(here, value, draft, older))
        title = f"{indent}{_inline(key)}:" + (f"  # {_on_one_line(mark)}" if mark else "")
        if isinstance(value, Mapping) and value and not _is_flat(here, value):
            yield title
            below = FOUND if own.startswith(FOUND) else CHECK
            yield from _mapping(value, here, draft, older, below if own else above)
            continue
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            yield title
            for item in value:
                yield _marked(f"{indent}  - {_inline(item)}", own or above or older.name)
            continue
        yield _marked(f"{indent}{_inline(key)}: {_inline(value)}", mark or above or older.name)
        yield from _comments(f"{indent}  ", draft.notes.get(here, ()))
    yield from _comments(indent, draft.notes.get(path, ()))


def _mark_of(path: Path, value: Any, draft: Draft, older: Older) -> str:
    """Return what stands behind a line of the older release: its own word, and what to check."""
    said = older.remarks.behind.get(path, "") if _is_carried(path, value, draft) else ""
    check = f"{CHECK}: {draft.carried[path]}" if path in draft.carried else ""
    parts = " ".join(filter(None, (older.name, said))) if said or check else ""
    return "; ".join(filter(None, (parts, check)))


def _is_carried(path: Path, value: Any, draft: Draft) -> bool:
    """Say whether a line, or any below it, is as in the older release."""
    if path in draft.marks:
        return False
    if isinstance(value, Mapping) and value and not _is_flat(path, value):
        return any(_is_carried((*path, key), each, draft) for key, each in value.items())
    return True


def _comments(indent: str, notes: Iterable[str]) -> Iterator[str]:
    yield from (f"{indent}# {_on_one_line(note)}" for note in notes)


def _on_one_line(words: str) -> str:
    """Return words as a comment can have them: names of columns and files may be any text."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(words.split()))


def _is_flat(path: Path, value: Mapping[str, Any]) -> bool:
    in_columns = len(path) > 1 and path[-2] == "columns"
    nested = any(isinstance(item, Mapping) for item in value.values())
    return in_columns or (path[-1] in _FLAT and not nested)


def _marked(line: str, mark: str) -> str:
    return f"{line:<{_MARK_AT}}  # {_on_one_line(mark)}"


def _inline(value: Any) -> str:
    text = yaml.safe_dump(
        value, default_flow_style=True, width=float("inf"), sort_keys=False, allow_unicode=True
    )
    return text.removesuffix("\n").removesuffix("\n...").strip()
