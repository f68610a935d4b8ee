"""Units as archives write them: ``W.m**-2.nm**-1``, ``'electron'.s**-1``, ``log(cm.s**-2)``."""

from __future__ import annotations

import re
from typing import Annotated, Any

from astropy import units as u
from pydantic import AfterValidator

_UNIT_DOT = re.compile(r"\.(?=[A-Za-z(])")
_BARE_LOG_CGS = "log cgs"


def parse_unit(text: str | None) -> Any:
    """Return the `astropy.units.Unit` of an archive's spelling; no text is dimensionless.

    Parameters
    ----------
    text : str or None
        Unit as astropy writes it, or with dots for products and quoted names as in Gaia's ECSV
        headers; ``log(x)`` and ``log cgs`` are read as ``dex(x)`` and ``dex(cm s-2)``.

    Raises
    ------
    ValueError
        If no unit can be made of the text.
    """
    plain = (text or "").strip().replace("'", "")
    if plain.lower() in {"", "-", "---", "1", "dimensionless"}:
        return u.dimensionless_unscaled
    if plain.lower() == _BARE_LOG_CGS:
        return u.dex(u.cm / u.s**2)
    if plain.startswith("log("):
        plain = "dex(" + plain.removeprefix("log(")
    try:
        return u.Unit(_UNIT_DOT.sub(" ", plain))
    except (ValueError, TypeError) as error:
        # Astropy's own text goes on about custom units; its first sentences are enough.
        reason = str(error).split(" If this is meant")[0]
        raise ValueError(f"{text!r} is not a unit that astropy.units knows: {reason}") from error


def same_unit(left: str | None, right: str | None) -> bool:
    """Whether two spellings mean the same unit; texts that are no units must agree to the letter.

    Examples
    --------
    >>> same_unit("W.m**-2.nm**-1", "W m-2 nm-1")
    True
    >>> same_unit("mas", "arcsec")
    False
    """
    try:
        return bool(parse_unit(left) == parse_unit(right))
    except ValueError:
        return (left or "").strip() == (right or "").strip()


def _checked(text: str) -> str:
    parse_unit(text)
    return text


UnitText = Annotated[str, AfterValidator(_checked)]
"""A unit in a YAML description, checked on load; the empty text is dimensionless."""
