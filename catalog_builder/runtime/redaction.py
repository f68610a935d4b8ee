"""Keeps credentials and home paths out of everything that is written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

#: ``https://user:password@host``: whatever stands before the last @ of the authority.
_USER_INFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^\s/?#\"'<>]*@")
#: ``?token=abc&expires=1``: signed addresses hide credentials under many names, so that all go.
_QUERY_VALUE = re.compile(r"([?&][A-Za-z0-9_.~%-]+=)[^&\s\"'<>#]+")
_HIDDEN = r"\g<1>***"


def redact(text: str) -> str:
    """Return a text without credentials in its URLs and without the path of the user's home.

    Names, hosts and paths of URLs stay, so that a message still says which file it is about.
    """
    text = redact_credentials(text)
    home = str(Path.home())
    if len(home) < 2:  # a service whose home is the root of the file system
        return text
    return re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)


def redact_credentials(text: str) -> str:
    """Return a text without ``user:password@`` and without values of queries; paths stay."""
    return _QUERY_VALUE.sub(_HIDDEN, _USER_INFO.sub(r"\g<1>***@", text))


def redact_json(value: Any, *, paths: bool = True) -> Any:
    """Return a JSON-able value with every string in it redacted, keys included.

    Parameters
    ----------
    value : Any
        Dictionaries, lists and tuples are gone through; other values are returned as they are.
    paths : bool
        Also shorten the user's home; not where the program reads paths back.
    """
    change = redact if paths else redact_credentials
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {redact_json(k, paths=paths): redact_json(v, paths=paths) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [redact_json(item, paths=paths) for item in value]
    return value
