"""What batch systems say, and what is made of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_builder.ground.errors import ClusterError
from catalog_builder.runtime.clusters.pbs_queue import PbsQueue
from catalog_builder.runtime.clusters.queues import JobState, QueuedJob
from catalog_builder.runtime.clusters.slurm_queue import SlurmQueue


@pytest.mark.parametrize(
    ("line", "job"),
    [
        ("12|PENDING|Resources", QueuedJob(JobState.WAITING, "Resources")),
        ("12|PENDING|JobHeldUser", QueuedJob(JobState.HELD, "JobHeldUser")),
        ("12|RUNNING|None", QueuedJob(JobState.RUNNING, "RUNNING")),
        ("12|SUSPENDED|None", QueuedJob(JobState.RUNNING, "SUSPENDED")),
        ("12|TIMEOUT|TimeLimit", QueuedJob(JobState.ENDED, "TIMEOUT")),
        ("12|COMPLETING|None", QueuedJob(JobState.RUNNING, "COMPLETING")),
    ],
)
def test_squeue_is_read(line, job):
    assert SlurmQueue.parse(f"{line}\n") == {"12": job}


QSTAT = """Job Id: 41.server
    Job_Name = cb-1
    job_state = Q
    comment = Not Running: Insufficient amount of resource: ncpus
    Variable_List = PBS_O_HOME=/home/a,
\tPBS_O_LANG=C

Job Id: 42.server
    Job_Name = cb-1
    job_state = R

Job Id:\t43
\tJob_Name = cb-1
\tjob_state = C

Job Id: 44.server
    job_state = F
    Exit_status = 271

Job Id: 45.server
    job_state = F
    Exit_status = 0
"""


def test_qstat_is_read():
    assert PbsQueue.parse(QSTAT) == {
        "41": QueuedJob(JobState.WAITING, "Not Running: Insufficient amount of resource: ncpus"),
        "42": QueuedJob(JobState.RUNNING, "R"),
        "43": QueuedJob(JobState.ENDED, "C"),
        "44": QueuedJob(JobState.ENDED, "exit status 271"),
        "45": QueuedJob(JobState.ENDED, "COMPLETED"),
    }


@given(st.text(max_size=200))
def test_whatever_is_said_is_read_without_an_error(text):
    SlurmQueue.parse(text)
    PbsQueue.parse(text)


@pytest.mark.parametrize("word", ["PartitionTimeLimit", "InvalidAccount"])
def test_hopeless_reasons_are_known(word):
    assert SlurmQueue("cb-1").is_hopeless(word)
    assert not SlurmQueue("cb-1").is_hopeless("Priority")
    assert PbsQueue("cb-1").is_hopeless("Can Never Run: Insufficient amount of resource: mem")
    assert not PbsQueue("cb-1").is_hopeless("Not Running: Insufficient amount of resource: mem")


def test_a_machine_without_a_batch_system_is_told_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match=r"command sbatch is not there.*login node"):
        SlurmQueue("cb-1").require()
