"""The kinds of clusters, by the name that `--cluster` takes."""

from __future__ import annotations

import difflib
import importlib
import re

from catalog_builder.ground.about import DISTRIBUTION
from catalog_builder.ground.errors import ConfigError
from catalog_builder.runtime.clusters.protocol import Cluster
from catalog_builder.runtime.clusters.settings import ClusterSettings
from catalog_builder.runtime.events import Events
from catalog_builder.runtime.workdir import Workdir

_ROOM = "catalog_builder.runtime.clusters"

#: Kind: module and class. A module is imported when its kind is asked for, because what it needs
#: may be an extra that is not installed.
KINDS = {
    "local": (f"{_ROOM}.local", "LocalMachine"),
    "slurm": (f"{_ROOM}.slurm", "SlurmCluster"),
    "pbs": (f"{_ROOM}.pbs", "PbsCluster"),
    "srun": (f"{_ROOM}.srun", "SrunCluster"),
    "kubernetes": (f"{_ROOM}.kubernetes", "OperatorCluster"),
}
#: An address, such as tls://10.0.0.1:8786, is a kind as well.
_ADDRESS = (f"{_ROOM}.address", "SomebodyElses")


def check_kind(kind: str) -> None:
    """Refuse a kind of cluster that is not known, before anything is made ready for it.

    Raises
    ------
    ConfigError
        Naming the kinds that there are.
    """
    if "://" in kind or kind in KINDS:
        return
    near = difflib.get_close_matches(kind, KINDS, n=1)
    meant = f"Did you mean {near[0]}? " if near else ""
    if re.fullmatch(r"[\w.-]+:\d+", kind):
        meant = f"Did you mean tcp://{kind}? "
    raise ConfigError(
        f"--cluster {kind!r} is not known.",
        f"{meant}Use {', '.join(f'`{known}`' for known in KINDS)} or a scheduler's address such as"
        " tcp://10.0.0.1:8786.",
    )


def make_cluster(
    settings: ClusterSettings, workdir: Workdir, events: Events | None = None
) -> Cluster:
    """Return the cluster of the settings, not opened yet; without `events` it is silent.

    Raises
    ------
    ConfigError
        If the kind is unknown or needs a package that is not installed.
    """
    kind = settings.kind
    check_kind(kind)
    module, name = _ADDRESS if "://" in kind else KINDS[kind]
    try:
        found: type[Cluster] = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as missing:
        raise ConfigError(
            f"--cluster {kind} needs the package {missing.name}.",
            f"`pip install '{DISTRIBUTION}[hpc]'` adds what batch systems need.",
        ) from None
    return found(settings, workdir, events or Events(None, verbosity=-1))
