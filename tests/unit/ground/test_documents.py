"""Documents from outside are refused in a moment, in bounded memory, whatever they hold."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from catalog_builder.ground import documents
from catalog_builder.ground.documents import DocumentError, parse_json, parse_yaml, read_document

DEEP = 200_000
LAUGH = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)
)

YAML_BOMBS = {
    "flow lists": ("x: " + "[" * DEEP, "levels deep"),
    "flow mappings": ("{a: " * DEEP, "levels deep"),
    "block lists": ("- " * DEEP, "levels deep"),
    "block mappings": ("\n".join(" " * i + "a:" for i in range(3000)), "levels deep"),
    "complex keys": ("? " * DEEP, "levels deep"),
    "aliases of aliases": (LAUGH, "aliases written out"),
    "merged aliases": (LAUGH.replace("[x, x, x, x, x, x, x, x, x]", "{k: x}"), "aliases"),
    "one long text often": (f"t: &t '{'x' * 100_000}'\nl: [{', '.join(['*t'] * 999)}]", "aliases"),
    "itself": ("a: &a [*a]", "stands for itself"),
    "itself in a mapping": ("&a {b: {c: *a}}", "stands for itself"),
    "base 60": ("a: " + ":".join(["59"] * DEEP), "characters"),
    "long tags": (f"%TAG !a! {'x' * DEEP}\n---\n" + "- !a!b c\n" * DEEP, "characters"),
    "many values": ("[" + "1," * 300_000 + "]", "more than 200000 values"),
    "large": ("a" * (documents.MAX_BYTES + 1), "bytes"),
    "digits": ("a: " + "9" * 9_000, "characters"),
    "base 60 as a tagged text": ("a: !!int '" + ":".join(["59"] * DEEP) + "'", "characters"),
    "keys of one hash": (
        "{" + ",".join(f"{k * (2**61 - 1)}: 0" for k in range(1, 80_000)) + "}",
        "characters",
    ),
    "no date": ("a: 2001-99-99", "not YAML"),
    "a mapping as key": ("? {a: b}\n: 3", "not YAML"),
    "no alias": ("a: *b", "undefined alias"),
    "objects": ("!!python/object/apply:os.getcwd []", "not YAML"),
    "two documents": ("a: 1\n---\nb: 2", "another document"),
    "not UTF-8": (b"\xff\xfe\xff", "not YAML"),
    "control characters": ("a: \x00", "not YAML"),
}
JSON_BOMBS = {
    "lists": ("[" * DEEP, "levels deep"),
    "mappings": ('{"a":' * DEEP, "levels deep"),
    "many values": ("[" + "[]," * 2_000_000 + "[]]", "more than 1000000 values"),
    "digits": ("9" * 1_000_000, "not JSON"),
    "large": (" " * (documents.MAX_BYTES + 1), "bytes"),
    "an open string": ('"' + "\\" * 1_000_001, "not JSON"),
    "not UTF-8": (b"\xff", "not JSON"),
    "empty": ("", "not JSON"),
}


@pytest.mark.parametrize("name", YAML_BOMBS)
def test_a_yaml_bomb_is_refused_in_a_moment(name):
    text, reason = YAML_BOMBS[name]
    begin = time.process_time()
    with pytest.raises(DocumentError, match=reason):
        parse_yaml(text)
    assert time.process_time() - begin < 5  # unbounded, each takes minutes or ends the process


@pytest.mark.parametrize("name", JSON_BOMBS)
def test_a_json_bomb_is_refused_in_a_moment(name):
    text, reason = JSON_BOMBS[name]
    begin = time.process_time()
    with pytest.raises(DocumentError, match=reason):
        parse_json(text)
    assert time.process_time() - begin < 5


def test_what_people_write_is_taken():
    text = "columns:\n- &id {name: teff, unit: K}\n- *id\n- {<<: *id, unit: dex}\n"
    same = {"name": "teff", "unit": "K"}
    assert parse_yaml(text) == {"columns": [same, same, {"name": "teff", "unit": "dex"}]}
    assert parse_yaml(text.encode()) == parse_yaml(text)
    assert parse_yaml("") is None


def test_brackets_in_strings_are_no_nesting():
    content = {"a": "[" * 1000, "b\\": '"{[' * 100, "c": [["]" * 60]]}
    assert parse_json(json.dumps(content)) == content


@pytest.mark.parametrize("depth", [documents.MAX_DEPTH, documents.MAX_DEPTH + 1])
def test_the_limit_of_depth_is_the_same_for_both(depth):
    text = "[" * depth + "]" * depth
    for parse in (parse_yaml, parse_json):
        if depth > documents.MAX_DEPTH:
            with pytest.raises(DocumentError, match="levels deep"):
                parse(text)
        else:
            assert json.dumps(parse(text)) == text


_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=30,
)


@given(_PLAIN)
def test_json_comes_back_as_it_was_written(value):
    text = json.dumps(value)
    assert parse_json(text) == json.loads(text)


@given(st.text(alphabet="[]{}:,&*a- \n\"'?|>!", max_size=60))
def test_any_yaml_is_taken_as_pyyaml_takes_it_or_refused(text):
    try:
        taken = parse_yaml(text)
    except DocumentError:
        return
    # The loaders of PyYAML, compiled and not, differ in a lone `!`.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    assert taken == yaml.load(text, Loader=loader)


def test_a_file_is_read_no_further_than_its_limit(tmp_path: Path):
    file = tmp_path / "large.json"
    with file.open("wb") as target:
        target.truncate(1 << 40)  # a terabyte of nothing
    with pytest.raises(DocumentError, match="more than 100 bytes"):
        read_document(file, limit=100)
