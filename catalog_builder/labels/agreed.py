"""The contract that a release and a label survey make together."""

from __future__ import annotations

import functools
from typing import Final

from catalog_builder.archive.release import ReleaseSpec, load_release
from catalog_builder.contract.contract import Contract
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.labels.survey import LabelSurvey, load_survey

#: What is meant where no release or survey is named: documentation, and products that do not tell.
DEFAULT_RELEASE: Final = "dr3"
DEFAULT_SURVEY: Final = "apogee-dr17"


def contract_of(release: ReleaseSpec, survey: LabelSurvey) -> Contract:
    """Return the labels of a survey with the inputs of a release."""
    return Contract(labels=survey.declared, inputs=release.inputs)


def contract_of_model(model: Contract, release: ReleaseSpec) -> Contract:
    """Return the contract of a given model's answers for the stars of a release.

    Labels and inputs are the model's; how parallaxes were corrected, and which magnitude is free of
    reddening, is the release's.
    """
    here = release.inputs.photometry
    photometry = {
        name: group.model_copy(update={"reddening_free": here[name].reddening_free})
        if name in here and here[name].bands.keys() == group.bands.keys()
        else group
        for name, group in model.inputs.photometry.items()
    }
    how = {
        "parallax_fallback": release.has_fallback and model.inputs.parallax,
        "spelt_ids": release.inputs.spelt_ids,
        "several_rows": release.inputs.several_rows,
        "photometry": photometry,
    }
    return model.model_copy(update={"inputs": model.inputs.model_copy(update=how)})


@functools.cache
def default_contract() -> Contract:
    """Return the contract of `DEFAULT_RELEASE` and `DEFAULT_SURVEY`.

    Raises
    ------
    ConfigError
        If one of the two descriptions is wrong.
    """
    return contract_of(load_release(DEFAULT_RELEASE), load_survey(DEFAULT_SURVEY))


@functools.cache
def default_schema() -> CatalogSchema:
    """Return columns and bits of `default_contract`.

    Raises
    ------
    ConfigError
        If a description is wrong.
    """
    return CatalogSchema.of(default_contract())
