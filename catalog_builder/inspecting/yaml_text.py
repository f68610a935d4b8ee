"""A drafted description as YAML, with a mark behind each line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import yaml

from catalog_builder.inspecting.drafting import CHECK, FOUND, Draft, Path
from catalog_builder.inspecting.finding import NOT_FOUND

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


def to_text(draft: Draft, older: str, about: str) -> str:
    """Return the YAML of a draft: each line is found, from the older release, or to be checked.

    Parameters
    ----------
    draft : Draft
        The description.
    older : str
        Name of the release from which the other lines are.
    about : str
        What it was made from, for the head.
    """
    head = [
        f"A draft, made by `catalog-builder inspect` from {about}.",
        f"Lines marked `{FOUND}` were seen in its files, lines marked `{older}` are as in that"
        " release,",
        f"and lines marked `{CHECK}` are guesses.",
        *_lacking(draft),
        *draft.remarks,
    ]
    lines = [f"# {_on_one_line(line)}" for line in head]
    lines += [""]
    lines += _mapping(draft.content, (), draft, older)
    return "\n".join(lines) + "\n"


def _lacking(draft: Draft) -> Iterator[str]:
    if draft.lacking:
        yield f"FILL IN, where lines are marked `{NOT_FOUND}`: {', '.join(draft.lacking)}."


def _mapping(content: Mapping[str, Any], path: Path, draft: Draft, older: str) -> Iterator[str]:
    indent = "  " * len(path)
    for key, value in content.items():
        here = (*path, key)
        mark = draft.marks.get(here, "")
        if isinstance(value, Mapping) and value and not _is_flat(here, value):
            yield f"{indent}{_inline(key)}:" + (f"  # {_on_one_line(mark)}" if mark else "")
            yield from _mapping(value, here, draft, older)
            continue
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            yield f"{indent}{_inline(key)}:" + (f"  # {_on_one_line(mark)}" if mark else "")
            for item in value:
                yield _marked(f"{indent}  - {_inline(item)}", mark or older)
            continue
        yield _marked(f"{indent}{_inline(key)}: {_inline(value)}", mark or older)
        yield from _comments(f"{indent}  ", draft.notes.get(here, ()))
    yield from _comments(indent, draft.notes.get(path, ()))


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
