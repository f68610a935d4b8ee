"""Kinds of clusters: by name, closed half-way, checked without words lost."""

import pytest

from catalog_builder.cli.options import Cluster as Option
from catalog_builder.ground.errors import ClusterError, ConfigError
from catalog_builder.runtime.clusters import registry
from catalog_builder.runtime.clusters.protocol import Cluster
from catalog_builder.runtime.clusters.registry import make_cluster
from catalog_builder.runtime.clusters.settings import ClusterSettings
from catalog_builder.runtime.events import Events
from catalog_builder.runtime.workdir import Workdir


def test_an_unknown_kind_is_refused_with_those_there_are(tmp_path):
    with pytest.raises(ConfigError, match=r"'grid' is not known.*`local`"):
        make_cluster(ClusterSettings(kind="grid"), Workdir(tmp_path))


def test_a_package_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(registry.KINDS, "grid", ("no_such_package", "Grid"))
    with pytest.raises(ConfigError, match=r"needs the package no_such_package"):
        make_cluster(ClusterSettings(kind="grid"), Workdir(tmp_path))


def test_the_help_of_the_option_names_every_kind():
    (option,) = Option.__metadata__
    assert option.metavar == "|".join([*registry.KINDS, "ADDRESS"])


class HalfWay(Cluster):
    """Fails after it has taken something."""

    def open(self):
        self.stack.callback(lambda: self.events.say("given back"))
        raise ClusterError("The machines are out.")


def test_what_was_taken_is_given_back_when_opening_fails(tmp_path, capsys):
    cluster = HalfWay(ClusterSettings(kind="half"), Workdir(tmp_path), Events(None))
    with pytest.raises(ClusterError), cluster:
        pass
    assert "given back" in capsys.readouterr().err
    (finding,) = cluster.check()
    assert "The machines are out." in str(finding.error)


def test_a_cluster_of_another_owner_is_not_scaled(tmp_path):
    cluster = make_cluster(ClusterSettings(kind="tcp://127.0.0.1:1"), Workdir(tmp_path))
    with pytest.raises(ClusterError, match="cannot be scaled to 3 workers"):
        cluster.scale(3)
    assert cluster.describe() == ""
