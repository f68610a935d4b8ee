"""A model directory of version 0.1: read as it was, under the digest that it has."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from catalog_builder.archive.release import load_release
from catalog_builder.ground.errors import ModelError
from catalog_builder.labels.agreed import contract_of_model, default_contract
from catalog_builder.model.document import FORMAT
from catalog_builder.model.ensemble import Estimator, assemble
from catalog_builder.model.layout3 import LAYOUT_3, contract_of_layout_3
from catalog_builder.model.settings import RENAMED


@pytest.fixture(scope="module")
def model(members, sky, scaling, settings, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("model") / "model"
    assemble(members, sky, scaling, settings, {"survey": "invented"}, out)
    return out


def older(model: Path, folder: Path, **changes: object) -> Path:
    """Return a copy as version 0.1 wrote it; it had no setting of spectra that are not told."""
    copy = Path(shutil.copytree(model, folder / "older"))
    document = json.loads((copy / "model.json").read_text())
    before = {now: then for then, now in RENAMED.items()}
    settings = document["settings"]
    del settings["untold_share"], document["digest"]
    document["settings"] = {before.get(name, name): value for name, value in settings.items()}
    document["labels"] = [label["name"] for label in document.pop("contract")["labels"]]
    document["g_range"] = document.pop("magnitude_range")
    document |= {"format": LAYOUT_3, **changes}
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    (copy / "model.json").write_text(json.dumps({**document, "digest": digest}))
    return copy


def test_it_is_the_same_model_under_its_own_digest(model, sky, tmp_path):
    copy = older(model, tmp_path)
    now, then = Estimator.load(model), Estimator.load(copy)
    assert then.digest == json.loads((copy / "model.json").read_text())["digest"] != now.digest
    assert then.document.format == FORMAT
    assert then.document.settings.untold_share == 0.0
    assert then.document.settings.line_channels == now.document.settings.line_channels
    assert then.magnitude_range == now.magnitude_range
    expected, found = (each.predict(sky.block, 256) for each in (now, then))
    for name in expected.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)


def test_its_contract_is_that_of_dr3_and_apogee_dr17_whatever_they_become():
    then, now = contract_of_layout_3(), default_contract()
    # What came after it is the release's to tell.
    assert contract_of_model(then, load_release("dr3")).inputs == now.inputs
    assert [(label.name, label.learnt_as, label.role, label.unit) for label in then.labels] == [
        (label.name, label.learnt_as, label.role, label.unit) for label in now.labels
    ]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"labels": ["teff", "logg"]}, "labels"),
        ({"labels": None}, "labels"),
        ({"settings": None}, "settings"),
        ({"settings": {"rvs_components": 10**9}}, "settings.line_components"),
        ({"settings": {"radar": 1}}, "settings.radar"),
        ({"g_range": [20.0, 3.0]}, "magnitude_range"),
        ({"trained_inputs": ["xp", "radar"]}, "trained_inputs"),
    ],
)
def test_what_is_wrong_with_it_is_refused_by_todays_key(changes, key, model, tmp_path):
    with pytest.raises(ModelError, match=key.replace(".", r"\.")):
        Estimator.load(older(model, tmp_path, **changes))


def test_a_changed_number_does_not_match_its_digest(model, tmp_path):
    copy = older(model, tmp_path)
    document = json.loads((copy / "model.json").read_text())
    document["g_range"][0] += 1.0
    (copy / "model.json").write_text(json.dumps(document))
    with pytest.raises(ModelError, match="does not match its own digest"):
        Estimator.load(copy)
