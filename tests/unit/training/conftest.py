"""Skies to be learnt from are those of the model's own tests."""

from tests.unit.model.conftest import contract, make_scaling, make_sky, scaling, settings, sky

__all__ = ["contract", "make_scaling", "make_sky", "scaling", "settings", "sky"]
