"""A Slurm of its own on this machine: munged, slurmctld, three node daemons, one fake GPU.

Everything lies in one folder and listens on 127.0.0.1 with ports of its own, so that it disturbs
no other Slurm. Root is needed (slurmd starts jobs as their owners), and Debian's packages
``slurm-wlm munge slurm-wlm-torque``. By hand: ``python tests/cluster/testbed.py up FOLDER``, then
``export SLURM_CONF=FOLDER/slurm.conf``; ``down`` ends it.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = ("munged", "slurmctld", "slurmd", "sbatch", "qsub")
#: Node: Slurm's words for what it has. One slot each, so that a third CPU job has to wait.
NODES = {"cn1": "", "cn2": "", "gn1": " Gres=gpu:1"}
MEMORY_MIB = 6000


def why_not() -> str:
    """Return why there can be no test bed here; empty if there can."""
    if os.geteuid() != 0:
        return "a private Slurm needs root"
    missing = [name for name in COMMANDS if shutil.which(name, path=_path()) is None]
    if missing:
        packages = "slurm-wlm munge slurm-wlm-torque"
        return f"{', '.join(missing)} not found: apt-get install {packages}"
    return ""


def configuration(folder: Path, host: str, ports: list[int]) -> str:
    """Return slurm.conf: one port for the controller, one for each node."""
    controller, *node_ports = ports
    settings = {
        "ClusterName": "testbed",
        "SlurmctldHost": f"{host}(127.0.0.1)",
        "SlurmctldPort": controller,
        "SlurmUser": "root",
        "SlurmdUser": "root",
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={folder}/munge.socket",
        "CredType": "cred/munge",
        "StateSaveLocation": f"{folder}/state",
        "SlurmdSpoolDir": f"{folder}/spool-%n",
        "SlurmctldPidFile": f"{folder}/slurmctld.pid",
        "SlurmdPidFile": f"{folder}/slurmd-%n.pid",
        "SlurmctldLogFile": f"{folder}/slurmctld.log",
        "SlurmdLogFile": f"{folder}/slurmd-%n.log",
        # Without cgroups: processes are followed by their parents, memory by polling.
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "JobAcctGatherType": "jobacct_gather/linux",
        "JobAcctGatherFrequency": "task=1",
        "JobAcctGatherParams": "OverMemoryKill",
        "AccountingStorageType": "accounting_storage/none",
        "MpiDefault": "none",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_Core_Memory",
        "SchedulerType": "sched/backfill",
        "SchedulerParameters": "sched_interval=2,bf_interval=2,batch_sched_delay=0",
        "SlurmdParameters": "config_overrides",  # nodes claim more than this machine has
        "ReturnToService": 2,
        "GresTypes": "gpu",
        "KillWait": 5,
        "OverTimeLimit": 0,
        "DefMemPerCPU": 256,
    }
    lines = [f"{name}={value}" for name, value in settings.items()]
    for (node, extra), port in zip(NODES.items(), node_ports, strict=True):
        lines.append(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=1"
            f" RealMemory={MEMORY_MIB}{extra}"
        )
    lines += [
        "PartitionName=cpu Nodes=cn[1-2] Default=YES MaxTime=1:00:00 DefaultTime=5",
        "PartitionName=gpu Nodes=gn1 MaxTime=1:00:00 DefaultTime=5",
    ]
    return "\n".join(lines) + "\n"


class Testbed:
    """The Slurm of one folder."""

    __test__ = False  # not a test, whatever pytest makes of its name

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.conf = self.folder / "slurm.conf"

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to speak to this Slurm."""
        return {**os.environ, "SLURM_CONF": str(self.conf), "PATH": _path()}

    def up(self) -> None:
        """Start it and wait until the nodes are idle."""
        for name in ("state", *(f"spool-{node}" for node in NODES)):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)  # munged insists on it
        key = self.folder / "munge.key"
        key.touch(mode=0o400)
        key.write_bytes(os.urandom(128))
        host = socket.gethostname().partition(".")[0]
        self.conf.write_text(configuration(self.folder, host, _free_ports(1 + len(NODES))))
        gres = "AutoDetect=off\nNodeName=gn1 Name=gpu File=/dev/null\n"
        (self.folder / "gres.conf").write_text(gres)
        parts = {"key-file": "key", "socket": "socket", "pid-file": "pid"}
        parts |= {"log-file": "log", "seed-file": "seed"}
        self.call("munged", *(f"--{name}={self.folder}/munge.{end}" for name, end in parts.items()))
        self.call("slurmctld")
        for node in NODES:
            self.call("slurmd", "-N", node)
        self.wait_until(lambda: self.call("sinfo", "-hNt", "idle").count("\n") >= len(NODES))

    def down(self) -> None:
        """End its jobs and its daemons."""
        if self.conf.exists():
            subprocess.run(["scancel", "-u", "root"], env=self.environment, check=False)
        for file in [*self.folder.glob("slurm*.pid"), self.folder / "munge.pid"]:
            try:
                os.kill(int(file.read_text()), signal.SIGTERM)
            except (OSError, ValueError):
                continue

    def call(self, *command: str, seconds: float = 30.0) -> str:
        """Run one of its commands and return what it says."""
        done = subprocess.run(
            command,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr or done.stdout}")
        return done.stdout

    def jobs(self, states: str = "PENDING,RUNNING") -> list[tuple[str, str, str]]:
        """Return identifier, partition and state of its jobs."""
        lines = self.call("squeue", "-h", "-t", states, "-o", "%i %P %T").splitlines()
        return [tuple(line.split()) for line in lines]

    @staticmethod
    def wait_until(condition, seconds: float = 60.0, step: float = 0.2) -> None:
        """Wait for something to become true."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"not true within {seconds:.0f} s")
            time.sleep(step)


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"  # where Debian has the daemons


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


if __name__ == "__main__":
    getattr(Testbed(Path(sys.argv[2])), {"up": "up", "down": "down"}[sys.argv[1]])()
