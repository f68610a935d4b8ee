"""Settings: one home of defaults, later sources win, wrong ones are named."""

import pytest

from catalog_builder.ground.errors import ConfigError
from catalog_builder.ground.resources import schemas_dir
from catalog_builder.run.config import RunConfig, load_config, to_yaml
from catalog_builder.simulate import simulation
from catalog_builder.simulate.simulation import Simulation


def test_options_win_over_assignments_over_the_file(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("version: from-file\nseed: 1\nmodel: {members: 2}\n")
    config = load_config(file, ["seed=2", "model.members=3"], {"version": "1.1", "archive": None})
    assert (config.version, config.seed, config.model.members) == ("1.1", 2, 3)


def test_the_printed_configuration_is_the_configuration(tmp_path):
    config = load_config(None, ["model.members=7", "ranges=[000000-003111]"], {"archive": "/a b"})
    file = tmp_path / "printed.yaml"
    file.write_text(to_yaml(config))
    assert load_config(file, [], {}) == config


def test_every_setting_has_its_sentence():
    lines = to_yaml(RunConfig()).splitlines()
    for number, line in enumerate(lines):
        if line and not line.lstrip().startswith("#") and not line.endswith(":"):
            assert lines[number - 1].lstrip().startswith("# "), line


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("ingest.block_row=3", r"ingest\.block_row: unknown setting \(allowed here: .*block_rows"),
        ("models.members=3", r"models: unknown setting"),
        ("model.rvs_components=5", r"model: .*new names: write line_components for rvs_components"),
        ("model.g_edges=[1]", r"model: .*write magnitude_edges for g_edges"),
        ("model.members=0", r"model\.members: .*greater than or equal to 1"),
        ("training.test=0.9", r"training: .*must leave some stars to fit"),
        ("version=../up", r"version: .*pattern"),
        ("seed", r"no '='"),
        ("seed=[", r"not YAML"),
        ("seed.x=1", r"seed"),
    ],
)
def test_a_wrong_setting_is_named(assignment, message):
    with pytest.raises(ConfigError, match=message):
        load_config(None, [assignment], {})


@pytest.mark.parametrize("text", ["a: [", "- 1", "a: !!python/object:os.system {}"])
def test_a_file_that_is_no_configuration_is_refused(tmp_path, text):
    file = tmp_path / "run.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"run\.yaml"):
        load_config(file, [], {})


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml.*No such file"):
        load_config(tmp_path / "nowhere.yaml", [], {})


def test_a_demonstration_has_what_its_release_needs_unless_somebody_says_otherwise():
    arms = {"release": "4most-lrs-demo"}
    assert load_config(None, [], arms).cluster.memory_limit == "6GiB"
    given = load_config(None, ["cluster.memory_limit=3GiB"], arms)
    assert given.cluster.memory_limit == "3GiB"
    file = f"{schemas_dir() / 'releases' / '4most-lrs.yaml'}-demo"
    assert load_config(None, [], {"release": file}).cluster.memory_limit == "6GiB"
    archive = load_config(None, [], {"release": "4most-lrs"})
    assert archive.cluster == load_config(None, [], {}).cluster


def test_a_part_of_a_release_has_the_needs_of_its_sky(monkeypatch):
    skies = {"ges-giraffe": Simulation(demo={"cluster.memory_limit": "5GiB"})}
    monkeypatch.setattr(simulation, "simulation_of", lambda name: skies.get(name, Simulation()))
    config = load_config(None, [], {"release": "ges-giraffe-hr21-demo"})
    assert config.cluster.memory_limit == "5GiB"
