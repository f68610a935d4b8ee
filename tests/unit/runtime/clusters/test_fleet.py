"""A fleet has as many jobs as are wanted, says what becomes of them, and knows when to give up."""

from pathlib import Path

import pytest

from catalog_builder.runtime.clusters.batch_settings import SlurmSettings
from catalog_builder.runtime.clusters.fleet import Fleet, Group
from catalog_builder.runtime.clusters.queues import (
    BatchQueue,
    JobState,
    QueuedJob,
    RefusedError,
    SilentError,
)
from catalog_builder.runtime.clusters.slurm_queue import SlurmQueue


class PaperQueue(BatchQueue):
    """A batch system on paper: jobs wait until a test starts or ends them."""

    commands = ()

    def __init__(self):
        super().__init__("cb-paper")
        self.listed = {}
        self.refusal = ""
        self.silent = False
        self.serial = 0

    def submit(self, script):
        if self.refusal:
            raise RefusedError(self.refusal)
        self.serial += 1
        self.listed[str(self.serial)] = QueuedJob(JobState.WAITING, "Resources")
        return str(self.serial)

    def find(self, queue):
        raise NotImplementedError

    def jobs(self, identifiers):
        if self.silent:
            raise SilentError("slurmctld is away.")
        return dict(self.listed)

    def cancel(self, identifiers):
        for identifier in identifiers:
            self.listed[identifier] = QueuedJob(JobState.ENDED, "CANCELLED")

    is_hopeless = SlurmQueue.is_hopeless
    _HOPELESS = SlurmQueue._HOPELESS


class Bench:
    """A fleet with one group, a clock in hand, and everything that was said."""

    def __init__(self, folder, wanted=2, **settings):
        self.queue, self.said, self.warned, self.records = PaperQueue(), [], [], []
        self.now = 1000.0
        self.logs = folder
        self.fleet = Fleet(
            self.queue,
            SlurmSettings(**settings),
            self,
            folder,
            self.records.append,
            clock=lambda: self.now,
        )
        self.group = Group("cpu", lambda worker: Path(f"{worker}.sh"), wanted=wanted)
        self.fleet.groups = {"cpu": self.group}
        self.workers = set()

    def say(self, text, *, detail=False):
        self.said.append(text)

    def warn(self, text):
        self.warned.append(text)

    def round(self, seconds=10.0):
        self.now += seconds
        self.fleet.attend(self.workers)

    def start(self, *identifiers):
        """Let jobs run and their workers register."""
        for identifier in identifiers:
            self.queue.listed[identifier] = QueuedJob(JobState.RUNNING, "RUNNING")
            self.workers.add(self.group.jobs[identifier].worker)
        self.round()

    def end(self, identifier, word):
        self.workers.discard(self.group.jobs[identifier].worker)
        self.queue.listed[identifier] = QueuedJob(JobState.ENDED, word)

    @property
    def living(self):
        return [i for i, job in self.queue.listed.items() if job.state is not JobState.ENDED]


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_as_many_jobs_as_are_wanted_and_no_more(bench):
    for _ in range(5):
        bench.round()
    assert bench.living == ["1", "2"]
    assert bench.records == [["1", "2"]]
    assert bench.group.ready() == 0


@pytest.mark.parametrize("word", ["CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED"])
def test_a_lost_job_is_replaced_and_its_absence_counted(bench, word):
    bench.round()
    bench.start("1", "2")
    bench.end("1", word)
    bench.round()
    assert bench.living == ["2", "3"]
    bench.round(seconds=30.0)
    bench.start("3")
    assert bench.fleet.lost == {word: 1}
    assert bench.fleet.missing_seconds == 40.0
    assert bench.said == [f"Job 1 ended: {word}."]


def test_a_job_cancelled_while_it_waits_is_replaced(bench):
    bench.round()
    bench.queue.listed["2"] = QueuedJob(JobState.ENDED, "CANCELLED")
    bench.round()
    assert bench.living == ["1", "3"]
    assert bench.warned == ["Job 2 was cancelled while it waited."]
    assert bench.group.failure is None


def test_a_job_that_is_gone_without_a_word_is_replaced_once_it_was_seen(bench):
    bench.round()
    bench.queue.listed.clear()
    bench.round(seconds=5.0)  # the list may lag behind the submission
    assert len(bench.group.jobs) == 2
    bench.round(seconds=20.0)
    assert bench.living == ["3", "4"]


def test_the_end_of_a_lifetime_is_no_reason_to_worry(bench):
    bench.round()
    bench.start("1", "2")
    bench.end("1", "COMPLETED")
    bench.round()
    assert bench.living == ["2", "3"]
    assert bench.fleet.lost == {"lifetime over": 1}
    assert bench.warned == []


def test_a_requeued_job_is_waited_for_and_not_doubled(bench):
    bench.round()
    bench.start("1", "2")
    bench.workers.clear()
    bench.queue.listed["1"] = QueuedJob(JobState.WAITING, "BeginTime")
    bench.round()
    bench.round(seconds=60.0)
    assert bench.living == ["1", "2"]
    bench.start("1")
    assert bench.fleet.missing_seconds == 70.0


def test_a_job_whose_worker_stays_away_is_ended_and_replaced(bench):
    bench.round()
    bench.start("1", "2")
    bench.workers.clear()
    for _ in range(17):
        bench.round()
    assert bench.living == ["1", "2"]
    bench.round(seconds=30.0)
    assert bench.living == ["3", "4"]
    assert bench.fleet.lost == {"no worker for 180 s": 2}


def test_jobs_that_die_at_once_end_the_run_with_their_last_words(bench):
    (bench.logs / "cb-paper-cpu-2-2.log").write_text("starting\nModuleNotFoundError: dask\n\n")
    for identifier in ("1", "2", "3", "4"):
        bench.round()
        if identifier in bench.queue.listed:
            bench.queue.listed[identifier] = QueuedJob(JobState.ENDED, "FAILED")
    bench.round()
    assert "3 cpu jobs in a row ended before they had a worker (FAILED)" in str(bench.group.failure)
    before = bench.queue.serial
    bench.round()
    assert bench.queue.serial == before  # nothing more is submitted


def test_the_last_words_are_those_of_the_job(tmp_path):
    bench = Bench(tmp_path, wanted=1, failed_starts=1)
    bench.round()
    (tmp_path / "cb-paper-cpu-1-1.log").write_text("ModuleNotFoundError: No module named dask\n")
    bench.queue.listed["1"] = QueuedJob(JobState.ENDED, "FAILED")
    bench.round()
    assert "ends with: ModuleNotFoundError: No module named dask" in str(bench.group.failure)


def test_a_refusal_with_no_job_at_all_ends_the_run(bench):
    bench.queue.refusal = "invalid partition specified: nosuch"
    bench.round()
    assert "No cpu job is accepted: invalid partition" in str(bench.group.failure)


def test_a_refusal_with_some_jobs_is_a_warning_and_tried_again_ever_more_rarely(bench):
    bench.round()
    bench.start("1", "2")
    bench.group.wanted = 3
    bench.queue.refusal = "QOSMaxSubmitJobPerUserLimit"
    for _ in range(10):
        bench.round(seconds=1.0)
    assert bench.group.refused == 2  # after 5 s, then 10 s
    assert len(bench.warned) == 1
    assert "2 of 3 cpu jobs are there: QOSMax" in bench.warned[0]
    assert bench.group.failure is None
    bench.queue.refusal = ""
    bench.round(seconds=20.0)
    assert len(bench.living) == 3


def test_a_silent_batch_system_is_waited_for(bench):
    bench.round()
    bench.start("1", "2")
    bench.queue.silent = True
    for _ in range(3):
        bench.round()
    assert bench.warned == ["slurmctld is away. Jobs are left as they are."]
    assert bench.living == ["1", "2"]


def test_waiting_is_explained_once_then_ends_where_there_is_a_limit(tmp_path):
    bench = Bench(tmp_path, pending_limit=300.0)
    for _ in range(6):
        bench.round()
    assert len(bench.warned) == 1
    assert "has been waiting for 50 s (Resources); no worker is there yet" in bench.warned[0]
    bench.round(seconds=300.0)
    assert "longer than pending_limit (Resources)" in str(bench.group.failure)


def test_without_a_limit_it_waits_for_ever(bench):
    for _ in range(10):
        bench.round(seconds=86_400.0)
    assert bench.group.failure is None


def test_a_job_that_can_never_start_ends_the_run_at_once(bench):
    bench.round()
    for identifier in bench.queue.listed:
        bench.queue.listed[identifier] = QueuedJob(JobState.WAITING, "PartitionTimeLimit")
    bench.round()
    assert "will never start: PartitionTimeLimit" in str(bench.group.failure)


def test_of_too_many_jobs_those_that_wait_are_ended_first(bench):
    bench.round()
    bench.start("2")
    bench.fleet.scale(bench.group, 1)
    bench.round()
    assert bench.living == ["2"]
    bench.fleet.scale(bench.group, 2)
    bench.round()
    assert bench.living == ["2", "3"]


def test_what_is_given_back_is_cancelled_and_not_replaced(bench):
    bench.round()
    bench.start("1", "2")
    bench.fleet.scale(bench.group, 0)
    bench.round()
    assert bench.living == []
    assert bench.records[-1] == []
    assert not bench.fleet.lost
