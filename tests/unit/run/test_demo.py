"""A demonstration simulates the release and the survey that its run is about."""

from __future__ import annotations

from pathlib import Path

from astropy.io import fits

from catalog_builder.run.config import RunConfig
from catalog_builder.run.demo import simulated, simulated_already
from catalog_builder.runtime.events import Events
from tests.unit.simulate.descriptions import save, with_mg_fe


def _made(config, folder):
    return Path(simulated(config, folder, lambda: None, Events(None)).archive)


def test_each_survey_has_a_sky_of_its_own(tmp_path):
    survey = with_mg_fe()
    path = save(survey, tmp_path / "mine.yaml")
    usual = RunConfig.model_validate(
        {"release": "dr3-demo", "demo": {"stars": 120, "seed": 3}, "training": {}}
    )
    mine = usual.model_copy(update={"training": usual.training.model_copy(update={"survey": path})})
    assert simulated_already(mine, tmp_path) is None
    first, second = _made(usual, tmp_path), _made(mine, tmp_path)
    assert first.name == "archive-dr3-120-3"
    assert second.name.startswith("archive-dr3-mine-")
    assert "MG_FE" in fits.getdata(next((second / "apogee").glob("*.fits"))).dtype.names
    assert simulated_already(mine, tmp_path) is not None
    # The same name with another content is another sky.
    survey["labels"]["mg_fe"]["error_floor"] = 0.02
    save(survey, tmp_path / "mine.yaml")
    assert simulated_already(mine, tmp_path) is None
