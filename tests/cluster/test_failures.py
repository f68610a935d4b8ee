"""What cannot work is said within a minute, in words, and nothing of it is left."""

import time

import pytest

from catalog_builder.ground.errors import ClusterError
from tests.cluster.conftest import settings


def fails(cluster, given, message):
    """Open a cluster in vain; return how long it took."""
    begin = time.monotonic()
    made = cluster(given)
    with pytest.raises(ClusterError, match=message), made:
        pass
    assert time.monotonic() - begin < 60.0
    assert not list((made.workdir.root / "cluster").glob("*")), "no key, no record"
    return made


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        ("slurm", {"queue": "nosuch"}, r"No cpu job would be accepted: There is no partition"),
        ("slurm", {"gpu_queue": "nosuch"}, r"No gpu job would be accepted: There is no partition"),
        ("slurm", {"job_memory": "1TiB"}, r"No cpu job is accepted:.*not available"),
        ("pbs", {"queue": "nosuch"}, r"No cpu job would be accepted"),
        ("pbs", {"gpu_queue": "nosuch"}, r"No gpu job would be accepted"),
    ],
)
def test_what_is_refused_is_told_at_once(quiet_bed, cluster, kind, given, message):
    fails(cluster, settings(kind, **given), message)
    assert quiet_bed.jobs() == []


def test_a_submission_that_pbs_refuses(quiet_bed, cluster):
    given = settings("pbs", job_extra_directives=["-l walltime=never"])
    fails(cluster, given, r"No cpu job is accepted")


def test_a_job_that_can_never_start(quiet_bed, cluster):
    given = settings("slurm", walltime="02:00:00")  # longer than the partition allows
    fails(cluster, given, r"will never start: PartitionTimeLimit")


def test_jobs_that_wait_for_ever(quiet_bed, cluster, capsys):
    quiet_bed.call("scontrol", "update", "nodename=cn[1-2]", "state=drain", "reason=test")
    given = settings("slurm", workers=2, pending_limit=6.0)
    fails(cluster, given, r"cpu job \d+ has been waiting for \d+ s, longer than pending_limit")
    assert "no worker is there yet" in capsys.readouterr().err


def test_jobs_that_die_at_once(quiet_bed, cluster):
    given = settings("slurm", job_script_prologue=["echo no such module >&2", "exit 3"])
    fails(cluster, given, r"3 cpu jobs in a row ended.*FAILED.*ends with: no such module")


def test_a_gpu_that_never_comes_stops_the_run_or_is_said(quiet_bed, cluster, capsys):
    given = settings("pbs", gpu_queue="gpu", gpu_directives=["-l walltime=never"])
    with cluster(given) as opened:
        with pytest.raises(ClusterError, match="No gpu job is accepted"), opened.offering("GPU"):
            pass
        opened.settings = opened.settings.model_copy(update={"gpu_fallback": True})
        with opened.offering("GPU") as client:
            assert client.submit(sum, [1, 2]).result(timeout=30) == 3
    assert "Training runs on the CPU workers (gpu_fallback)" in capsys.readouterr().err
