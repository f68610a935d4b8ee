"""True values of labels that the synthetic spectra do not have, as their declarations say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from catalog_builder.contract.labels import Label
from catalog_builder.ground.errors import ConfigError
from catalog_builder.labels.survey import LabelSurvey
from catalog_builder.simulate.population.streams import Draws
from catalog_builder.simulate.population.truth import Stars

Float = NDArray[np.float64]

#: Labels that every simulated star has: its spectrum is made from them.
OF_SPECTRA: Final = ("teff", "logg", "m_h", "alpha_m", "fe_h")


def made_labels(star: Stars, survey: LabelSurvey, draws: Draws) -> dict[str, Float]:
    """Return the true values of a survey's labels that the spectra do not have.

    Parameters
    ----------
    star : Stars
        A block of n stars.
    survey : LabelSurvey
        One that `check_labels` accepts.
    draws : callable
        Each label's scatter has its own random numbers.

    Returns
    -------
    dict of str to ndarray of float64, shape (n,)
        NaN for stars that have no abundances.
    """
    values: dict[str, Float] = {name: getattr(star, name) for name in OF_SPECTRA}
    made: dict[str, Float] = {}
    for label in _in_order(survey):
        if label.simulated is None:
            continue
        rule = label.simulated
        sums = sum((factor * values[name] for name, factor in rule.terms.items()), 0.0 * star.m_h)
        noise = draws(f"label {label.name}").standard_normal(len(star))
        values[label.name] = made[label.name] = np.asarray(sums + rule.scatter * noise)
    return {name: made[name] for name in survey.labels if name in made}


def check_labels(survey: LabelSurvey) -> None:
    """Refuse a survey with a label that cannot be simulated.

    Raises
    ------
    ConfigError
        The message names the label.
    """
    for label in survey.declared:
        if label.name not in OF_SPECTRA and label.simulated is None:
            raise ConfigError(
                f"The label {label.name} of survey {survey.name} cannot be simulated: synthetic"
                f" spectra have {', '.join(OF_SPECTRA)}, and its declaration has no `simulated`.",
                "Declare how it follows from them, or leave it out of a copy of the description.",
            )
    _in_order(survey)


def _in_order(survey: LabelSurvey) -> list[Label]:
    """Return the labels to be made, each after those that it is made from."""
    waiting: Mapping[str, Label] = {
        label.name: label for label in survey.declared if label.name not in OF_SPECTRA
    }
    known, ordered = set(OF_SPECTRA), list[Label]()
    while waiting:
        ready = [
            one for one in waiting.values() if one.simulated and known >= set(one.simulated.terms)
        ]
        if not ready:
            first = next(iter(waiting.values()))
            lacking = sorted(set(first.simulated.terms) - known) if first.simulated else []
            raise ConfigError(
                f"The label {first.name} of survey {survey.name} cannot be simulated from"
                f" {', '.join(lacking)}.",
                f"Make it from {', '.join(OF_SPECTRA)}, or from other labels of the survey that"
                " are.",
            )
        ordered += ready
        known |= {one.name for one in ready}
        waiting = {name: one for name, one in waiting.items() if name not in known}
    return ordered
