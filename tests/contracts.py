"""Contracts that are not the default one: other labels, another spectrum, other bands."""

from __future__ import annotations

from collections.abc import Sequence

from catalog_builder.contract.contract import Contract
from catalog_builder.contract.grids import GridSpec
from catalog_builder.contract.inputs import Band, BandsInput, Inputs, SpectrumInput
from catalog_builder.contract.labels import Label, Labels, known_labels
from catalog_builder.contract.schema import TRAINING, CatalogSchema
from catalog_builder.galaxy.columns import DIRECTION, PLACE
from catalog_builder.galaxy.label_distance import SPECTROPHOTOMETRIC
from catalog_builder.galaxy.motions import CORRELATIONS, MOTION, NEEDED
from catalog_builder.labels.agreed import default_contract

#: A spectrum of lines on a grid of its own, and the bands of 2MASS.
HR = SpectrumInput(
    title="HR",
    kind="lines",
    grid=GridSpec(start=500.0, step=0.02, count=64),
    sig_to_noise="hr_snr",
    low_sig_to_noise=40.0,
)
TMASS = BandsInput(
    title="2MASS",
    bands={
        "j": Band(column="j_m", title="J", ucd="phot.mag;em.IR.J"),
        "h": Band(column="h_m", title="H", ucd="phot.mag;em.IR.H"),
        "ks": Band(column="ks_m", title="Ks", ucd="phot.mag;em.IR.K"),
    },
    colours=(("j", "ks"), ("j", "h")),
)


def with_labels(names: Sequence[str], more: int = 0) -> Contract:
    """Return the default inputs with known labels, and as many invented ones."""
    known = known_labels()
    like = known["mg_fe"].model_dump()
    invented = (
        Label.model_validate({**like, "name": f"x{n}_fe", "title": f"X{n}", "short": f"[X{n}/Fe]"})
        for n in range(more)
    )
    labels = Labels([*(known[name] for name in names), *invented])
    return Contract(labels=labels, inputs=default_contract().inputs)


def with_inputs(
    *, spectra: dict[str, SpectrumInput] | None = None, photometry: dict[str, BandsInput]
) -> Contract:
    """Return the default labels with more inputs."""
    before = default_contract()
    inputs = Inputs(
        spectra={**before.inputs.spectra, **(spectra or {})},
        photometry={**before.inputs.photometry, **photometry},
        parallax=True,
    )
    return Contract(labels=before.labels, inputs=inputs)


FIVE = default_contract().labels.names
SIX = with_labels([*FIVE, "mg_fe"])
FOUR = with_labels(FIVE[:4])
THIRTY = with_labels(FIVE, more=25)
THREE_SPECTRA = with_inputs(spectra={"hr": HR}, photometry={"tmass": TMASS})


def added_since_1_1(schema: CatalogSchema) -> set[str]:
    """Return the columns that schema 1.1 did not have."""
    errors = {f"{band.column}_error" for band in schema.inputs.bands}
    carried = {*NEEDED, *CORRELATIONS, "random_index", "prior_share"}
    return {*TRAINING, *DIRECTION, *PLACE, *MOTION, *SPECTROPHOTOMETRIC, *carried, *errors}
