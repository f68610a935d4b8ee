"""Whether a run's stars, and what the model says of them, are as those that it was made for.

Stars are compared with stars like them: what they have by magnitude, flags and tiers by S/N and
magnitude, so that another piece of the sky, or a deeper one, raises no alarm. Where most stars are
beyond those of the model's archive there are none like them, and that is an alarm of its own.

Two numbers separate an alarm from chance and from the sky: a difference must be beyond what chance
makes of it in any of a run's comparisons, and beyond an absolute tolerance, by which honest samples
of stars differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from scipy.special import ndtri

from catalog_builder.contract.distances import distances_of
from catalog_builder.contract.inputs import Inputs
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.features.population import (
    UNKNOWN,
    ZERO_POINT,
    Axis,
    InputCounts,
    axis_of,
)
from catalog_builder.inference.alarm_record import Alarm, Comparison
from catalog_builder.inference.settings import AlarmSettings
from catalog_builder.inference.shares import Difference, Shares, difference
from catalog_builder.model.population import (
    ODD,
    AnswerCounts,
    Population,
    not_an_input,
    odd,
)

Bins = Mapping[str, int]

#: Why nothing was compared.
NO_REFERENCE: Final = "the model has no reference: it was trained by an earlier version"
NO_COUNTS: Final = "the stars were not counted: they were ingested by an earlier version"
#: Share of the model's archive beyond the range that counts as its own, on each side.
_OUTERMOST: Final = 0.005


def compare(
    population: Population | None,
    inputs: Inputs,
    seen: InputCounts,
    answers: AnswerCounts | None,
    schema: CatalogSchema,
    settings: AlarmSettings,
) -> Comparison:
    """Compare a run with the population that its model was made for.

    Parameters
    ----------
    population : Population, optional
        Of the model; one of an earlier version has none.
    inputs : Inputs
        Of the model.
    seen : InputCounts
        Of all partitions that were ingested.
    answers : AnswerCounts, optional
        Of all that were predicted, where they were.
    schema : CatalogSchema
        Of the catalogue.
    settings : AlarmSettings
        Tolerances.
    """
    tests = all_tests(population, inputs, seen, answers, schema, settings)
    if isinstance(tests, str):
        return Comparison(stars=seen.stars, not_compared=tests)
    # One of all tests is beyond this by chance in `false_alarm_rate` of the runs.
    sigmas = float(-ndtri(settings.false_alarm_rate / (2 * max(1, len(tests)))))
    remarks = [remark for test in tests for remark in test.remarks]
    return Comparison(
        stars=seen.stars,
        reference=0 if population is None else population.inputs.stars,
        tests=len(tests),
        alarms=tuple(test.alarm for test in tests if test.is_beyond(sigmas)),
        remarks=tuple(remarks),
    )


def all_tests(
    population: Population | None,
    inputs: Inputs,
    seen: InputCounts,
    answers: AnswerCounts | None,
    schema: CatalogSchema,
    settings: AlarmSettings,
) -> list[Tested] | str:
    """Return every comparison that can be made, or in words why there is none."""
    if population is None:
        return NO_REFERENCE
    if not seen.stars:
        return NO_COUNTS
    if min(seen.stars, population.inputs.stars) < settings.min_stars:
        return (
            f"{seen.stars} stars, and {population.inputs.stars} of the model's archive: with fewer"
            f" than {settings.min_stars} (alarms.min_stars) nothing can be told"
        )
    return [
        *_of_inputs(population.inputs, seen, inputs, settings),
        *(_of_answers(population, answers, schema, settings) if answers else ()),
    ]


@dataclass(frozen=True)
class Tested:
    """One comparison: an alarm if the excess over its tolerance is more than chance.

    Attributes
    ----------
    alarm : Alarm
        What it would be.
    excess, error : float
        How far beyond its tolerance, and the standard error of that; never beyond for what is
        only told.
    remarks : tuple of str
        What is told in any case.
    """

    alarm: Alarm
    excess: float = -np.inf
    error: float = 1.0
    remarks: tuple[str, ...] = field(default=())

    def as_remark(self) -> Tested:
        """Return it as one that is never an alarm."""
        told = (self.alarm.words,) if self.excess > 0 else ()
        return Tested(self.alarm, remarks=told)

    def is_beyond(self, sigmas: float) -> bool:
        """Tell whether it is an alarm, if this many errors may be chance."""
        return self.excess > sigmas * self.error


def _of_inputs(
    there: InputCounts, here: InputCounts, inputs: Inputs, settings: AlarmSettings
) -> Iterator[Tested]:
    for name, reference in there.shares.items():
        # An input that the release does not have is one that no star has.
        absent = {UNKNOWN: (here.stars, 0)} if name.startswith("has_") else {}
        shares = here.shares.get(name, absent)
        if min(_total(reference)[0], _total(shares)[0]) < settings.min_stars:
            continue  # asked of no star, say: that none has the input is another share
        found = difference(shares, reference)
        if found.stars < settings.min_stars:  # no star has a magnitude, say
            found = difference({"": _total(shares)}, {"": _total(reference)})
        test = _share_test(name, _share_in_words(name, inputs), found, settings)
        # More stars with a spectrum than before are what a deeper survey is for.
        yield test if found.here < found.there else test.as_remark()
    for name, bins in there.values.items():
        axis, mine = axis_of(name, inputs), here.values.get(name, {})
        if axis is None or min(sum(bins.values()), sum(mine.values())) < settings.min_stars:
            continue
        if name == ZERO_POINT:
            yield _shift_test(bins, mine, axis, settings)
        elif name.endswith("_median"):
            title = inputs.title(name.removesuffix("_median"))
            yield _form_test(
                name, f"the median flux of the {title} spectra", bins, mine, axis, settings
            )
        else:
            yield _reach_test(name, _value_in_words(name, inputs), bins, mine, axis, settings)


def _of_answers(
    population: Population, here: AnswerCounts, schema: CatalogSchema, settings: AlarmSettings
) -> Iterator[Tested]:
    there, flags = population.answers_like(here), schema.flags
    names = {bit.name: f"have the flag {bit.name}" for bit in flags.active if not_an_input(bit)}
    names |= {tier.name: f"are of the tier {tier.name}" for tier in flags.tiers}
    names |= {odd(name): f"have {name} above {ODD:g}" for name in distances_of(schema.inputs)}
    for name, what in names.items():
        found = difference(here.share(name), there.share(name))
        if found.stars >= settings.min_stars:
            yield _share_test(name, what, found, settings, " at the same S/N and magnitude")


def _share_test(
    about: str, what: str, found: Difference, settings: AlarmSettings, how: str = ""
) -> Tested:
    words = (
        f"{_percent(found.here)} of the stars {what}; of those of the model's archive{how}"
        f" {_percent(found.there)}"
    )
    alarm = Alarm(about=about, here=found.here, expected=found.there, words=words)
    return Tested(alarm, abs(found.here - found.there) - settings.tolerance, found.error)


def _shift_test(there: Bins, here: Bins, axis: Axis, settings: AlarmSettings) -> Tested:
    one, other = (_quantile(bins, 0.5, axis) for bins in (here, there))
    words = (
        f"the zero point of the parallax is {one:+.3f} mas in the median; in the model's archive"
        f" {other:+.3f} mas"
    )
    alarm = Alarm(about=ZERO_POINT, here=one, expected=other, words=words)
    # The median of hundreds of stars has no error to speak of beside the tolerance.
    return Tested(alarm, abs(one - other) - settings.zero_point, axis.step / 10)


def _form_test(
    about: str, what: str, there: Bins, here: Bins, axis: Axis, settings: AlarmSettings
) -> Tested:
    places, one, other = _cumulative(here, there)
    apart = np.abs(one - other)
    at = int(apart.argmax())
    words = (
        f"{what} is distributed otherwise: below {axis.edge(int(places[at]) + 1):.3g} it is in"
        f" {_percent(one[at])}, in the model's archive in {_percent(other[at])}"
    )
    alarm = Alarm(about=about, here=float(one[at]), expected=float(other[at]), words=words)
    n, m = sum(here.values()), sum(there.values())
    # Of Kolmogorov's distance, whose tail falls off no slower than that of a share.
    return Tested(
        alarm, float(apart[at]) - settings.distance, float(np.sqrt((n + m) / (n * m)) / 2)
    )


def _reach_test(
    about: str, what: str, there: Bins, here: Bins, axis: Axis, settings: AlarmSettings
) -> Tested:
    low = _quantile(there, _OUTERMOST, axis, whole=True)
    high = _quantile(there, 1 - _OUTERMOST, axis, whole=True) + axis.step
    stars = sum(here.values())
    below, above = _counts_beyond(here, axis, low, high)
    side, count = ("below", below) if below >= above else ("above", above)
    edge = low if side == "below" else high
    value = 10**edge if axis.log else edge
    share = count / stars
    words = (
        f"{_percent(share)} of the stars have {what} {side} {value:.3g}, as"
        f" {_percent(_share_beyond(there, axis, low, high, side))} of the model's archive:"
        " there are none like them to compare with"
    )
    alarm = Alarm(about=about, here=share, expected=_OUTERMOST, words=words)
    error = float(np.sqrt((share * (1 - share) + 1 / stars) / stars))
    _, one, other = _cumulative(here, there)
    remarks: tuple[str, ...] = ()
    if np.abs(one - other).max() > settings.distance:
        mine, its = (_quantile(bins, 0.5, axis) for bins in (here, there))
        mine, its = (10**mine, 10**its) if axis.log else (mine, its)
        remarks = (f"the median of {what} is {mine:.3g}, in the model's archive {its:.3g}",)
    return Tested(alarm, share - settings.most, error, remarks)


def _counts_beyond(bins: Bins, axis: Axis, low: float, high: float) -> tuple[int, int]:
    below = sum(count for place, count in bins.items() if int(place) * axis.step < low - 1e-9)
    above = sum(count for place, count in bins.items() if int(place) * axis.step > high - 1e-9)
    return below, above


def _share_beyond(bins: Bins, axis: Axis, low: float, high: float, side: str) -> float:
    below, above = _counts_beyond(bins, axis, low, high)
    return (below if side == "below" else above) / sum(bins.values())


def _cumulative(here: Bins, there: Bins) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return bins in order, and which share of either is not above each."""
    places = sorted({*map(int, here), *map(int, there)})
    one, other = (
        np.cumsum([bins.get(str(place), 0) for place in places]) / sum(bins.values())
        for bins in (here, there)
    )
    return np.array(places), one, other


def _quantile(bins: Bins, share: float, axis: Axis, *, whole: bool = False) -> float:
    """Return a quantile on the axis (its logarithm); the lower edge of its bin if `whole`."""
    places = sorted(map(int, bins))
    counts = np.array([bins[str(place)] for place in places], dtype=np.float64)
    below = np.cumsum(counts) - counts
    wanted = share * counts.sum()
    at = int(np.searchsorted(below, wanted, side="right")) - 1
    part = 0.0 if whole else (wanted - below[at]) / max(counts[at], 1.0)
    return float((places[at] + part) * axis.step)


def _total(shares: Shares) -> tuple[int, int]:
    return sum(asked for asked, _ in shares.values()), sum(true for _, true in shares.values())


def _percent(share: float) -> str:
    return f"{100 * share:.{1 if 0 < share < 0.0995 else 0}f} %"


def _share_in_words(name: str, inputs: Inputs) -> str:
    if name.startswith("has_"):
        return f"have {inputs.title(name.removeprefix('has_'))}"
    column = name.removesuffix("_known")
    for spectrum in inputs.spectra.values():
        if spectrum.sig_to_noise == column:
            return f"with {spectrum.title} have an S/N ({column})"
    return f"with a parallax have a zero point for it ({column})"


def _value_in_words(name: str, inputs: Inputs) -> str:
    for key, spectrum in inputs.spectra.items():
        if spectrum.sig_to_noise == name:
            return f"an S/N of {spectrum.title} ({name})"
        if name == f"{key}_flux_over_error":
            return f"a flux over its error in a sample of {spectrum.title}"
    return name
