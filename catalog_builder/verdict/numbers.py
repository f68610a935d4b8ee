"""A number beside what was expected: within its tolerance, beyond it, or beyond it and chance."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from scipy.special import gammainc, gammaincc, ndtri, pdtrik

#: Share of catalogues in which chance alone warns, check by check.
_WARN_RATE: Final = 0.1


@dataclass(frozen=True)
class Number:
    """A number that has an error, and may differ from what is expected by its tolerance.

    Attributes
    ----------
    about : str
        Of which label, regime, flag.
    number, expected : float
    tolerance, error : float
        In the unit of the number; of its logarithm if `log`.
    stars : int
        On which it rests.
    decimals : int
        Digits behind the point that it is told with; -2 for per cent.
    log : bool
        Ratios count, not differences.
    said : str
        What it is of, for people, where `about` is a name of this program.
    signed : bool
        A difference, which is told with its sign.
    """

    about: str
    number: float
    expected: float
    tolerance: float
    error: float
    stars: int = 0
    decimals: int = 3
    log: bool = False
    unit: str = ""
    said: str = ""
    signed: bool = False

    @property
    def _away(self) -> float:
        if self.log:
            return abs(math.log(max(self.number, 1e-300) / self.expected))
        return abs(self.number - self.expected)

    @property
    def beyond(self) -> float:
        """By how many errors it is beyond its tolerance; negative within."""
        return (self._away - self.tolerance) / max(self.error, 1e-12)

    @property
    def odd(self) -> float:
        """By how many errors it is off, whatever is tolerated."""
        return self._away / max(self.error, 1e-12)

    def limits(self, errors: float) -> tuple[float, float]:
        """Return between which numbers it does not fail."""
        return self._within(self.tolerance + errors * self.error)

    def passes(self, errors: float) -> tuple[float, float]:
        """Return between which numbers it passes, if more errors than these make it warn."""
        return self._within(max(self.tolerance, errors * self.error))

    def _within(self, reach: float) -> tuple[float, float]:
        if self.log:
            return self.expected * math.exp(-reach), self.expected * math.exp(reach)
        low, high = self.expected - reach, self.expected + reach
        return (max(low, 0.0), min(high, 1.0)) if self.decimals < 0 else (low, high)


@dataclass(frozen=True)
class Few(Number):
    """A count of stars that may be no less than a share (`tolerance`) of what is expected."""

    decimals: int = field(default=0)

    @property
    def beyond(self) -> float:
        """By how many deviations of a Gaussian its chance is beyond the tolerance."""
        mean = self.tolerance * self.expected
        return _deviations(gammaincc(self.number + 1, mean)) if self.number < mean else -1.0

    @property
    def odd(self) -> float:
        """The same without the tolerance."""
        return _deviations(gammaincc(self.number + 1, self.expected))

    def limits(self, errors: float) -> tuple[float, float]:
        """Return the least count that does not fail."""
        mean = self.tolerance * self.expected
        if _chance(errors) < math.exp(-mean):
            return 0.0, math.inf
        return float(math.ceil(pdtrik(_chance(errors), mean))), math.inf

    def passes(self, errors: float) -> tuple[float, float]:
        """Return the least count that passes."""
        mean = self.tolerance * self.expected
        tolerated = float(pdtrik(0.5, mean)) if mean > math.log(2) else 0.0
        unlikely = _chance(errors) < math.exp(-self.expected)
        usual = 0.0 if unlikely else float(pdtrik(_chance(errors), self.expected))
        return float(math.ceil(min(tolerated, usual))), math.inf


@dataclass(frozen=True)
class Many(Number):
    """A count of stars that may be no more than some times what is expected."""

    decimals: int = field(default=0)

    @property
    def beyond(self) -> float:
        """By how many deviations of a Gaussian its chance is beyond the tolerance."""
        mean = self.tolerance * self.expected
        return _deviations(gammainc(self.number, mean)) if self.number > mean else -1.0

    @property
    def odd(self) -> float:
        """The same without the tolerance."""
        return _deviations(gammainc(self.number, self.expected)) if self.number > 0 else 0.0

    def limits(self, errors: float) -> tuple[float, float]:
        """Return the largest count that does not fail."""
        return 0.0, float(math.ceil(pdtrik(1 - _chance(errors), self.tolerance * self.expected)))

    def passes(self, errors: float) -> tuple[float, float]:
        """Return the largest count that passes."""
        tolerated = pdtrik(0.5, self.tolerance * self.expected)
        usual = pdtrik(1 - _chance(errors), self.expected)
        return 0.0, float(math.ceil(max(tolerated, usual)))


def errors_of(rate: float, tests: int) -> float:
    """Return by how many errors one of `tests` numbers is off in this share of cases."""
    return float(-ndtri(rate / (2 * max(1, tests))))


def warn_errors(tests: int) -> float:
    """Return the same for a warning."""
    return errors_of(_WARN_RATE, tests)


def _deviations(chance: float) -> float:
    return float(-ndtri(max(float(chance), 1e-300)))


def _chance(errors: float) -> float:
    return 0.5 * math.erfc(errors / math.sqrt(2))
