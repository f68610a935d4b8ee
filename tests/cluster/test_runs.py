"""Whole runs on batch systems: whatever happens to their jobs, the catalogue is the same."""

import shlex

from catalog_builder.runtime.clusters import leftovers
from catalog_builder.runtime.workdir import Workdir
from tests.cluster.conftest import ROOT, Run, settings

GPU = {"gpu_queue": "gpu", "gpu_cores": 1, "cpu_jobs_while_training": 1}


def running(bed, partition="cpu"):
    return [job for job, where, state in bed.jobs() if (where, state) == (partition, "RUNNING")]


def pending(bed):
    return [job for job, _, state in bed.jobs() if state == "PENDING"]


def cancel(bed, find, state):
    """Cancel the last of the jobs that are found, if it still has that state; return whether."""
    for job in find(bed)[-1:]:
        bed.call("scancel", f"--state={state}", job)
        shown = bed.call("scontrol", "show", "job", job)
        return "JobState=CANCELLED" in shown or "JobState=COMPLETING" in shown
    return False


def test_jobs_are_cancelled_a_node_is_drained_a_driver_dies_and_the_catalogue_is_the_same(
    quiet_bed, run, reference
):
    bed = quiet_bed
    # Workers live for some twenty seconds: their jobs come to the end of their time.
    short = {"walltime": "00:01:00", "lifetime_margin": 38.0, "lifetime_stagger": 4.0}
    given = settings("slurm", workers=3, cluster={"gpu_fallback": True}, **short, **GPU)
    made = run(given)

    made.start().after(lambda: made.done("ingest") >= 2)
    made.after(lambda: pending(bed))  # three jobs for two slots
    keys = list(made.workdir.glob("cluster/tls-*"))
    assert len(keys) == 1
    made.kill()
    bed.wait_until(lambda: not bed.jobs(), seconds=30)
    bed.wait_until(lambda: not keys[0].exists(), seconds=30)
    kept = made.done("*")

    # No GPU for now: training waits for it until workers have come to the end of their lives.
    bed.call("scontrol", "update", "nodename=gn1", "state=drain", "reason=test")
    made.start().after(lambda: made.done("*") > kept)
    made.after(lambda: cancel(bed, running, "RUNNING"))
    made.after(lambda: cancel(bed, pending, "PENDING"))
    made.after(lambda: made.done("match") >= 1)
    bed.call("scontrol", "update", "nodename=cn2", "state=drain", "reason=test")
    made.after(lambda: made.done("training-set") == 1)
    alive = set(made.after(lambda: running(bed)))
    made.after(lambda: not alive & set(running(bed)))
    bed.call("scontrol", "update", "nodename=gn1", "state=resume")
    made.after(lambda: running(bed, "gpu"))
    made.end()

    assert made.columns == reference.columns
    log = {event["event"]: event for event in made.log}
    losses = log["losses"]
    assert "CANCELLED" in losses["reasons"]
    assert "lifetime over" in losses["reasons"]
    assert losses["jobs_ended"] >= 3
    assert losses["seconds_of_missing_workers"] > 0
    assert "seconds of missing workers" in made.said
    assert "was cancelled while it waited" in made.said
    # The GPU is a fake: that training ended on a CPU is allowed by a setting, and said.
    assert "training ran on a CPU (gpu_fallback)" in made.said
    assert not bed.jobs()
    assert not list(made.workdir.glob("cluster/*"))
    assert_no_secret(made.workdir)


def test_a_run_on_pbs_is_the_same(quiet_bed, run, reference):
    made = run(settings("pbs", workers=2)).start()
    made.after(lambda: running(quiet_bed))
    made.end()
    assert made.columns == reference.columns
    assert "No gpu_queue is set: training runs on the CPU workers." in made.said


def test_inside_a_job_workers_are_a_step_of_it(quiet_bed, sky, reference, tmp_path):
    made = Run(sky, tmp_path / "work", settings("srun", workers=2))
    script = tmp_path / "job.sh"
    command = shlex.join([*made.command[:3], "ingest", *made.command[4:]])
    script.write_text(f"#!/bin/bash\nexport PYTHONPATH={ROOT}\nexec {command}\n")
    size = ("--ntasks=2", "--mem-per-cpu=1500M", "--time=5", f"--output={tmp_path}/said")
    quiet_bed.call("sbatch", "--wait", *size, str(script), seconds=120)
    assert made.digests("ingest") == reference.digests("ingest")
    assert "Tasks carried out: 6 ingest." in (tmp_path / "said").read_text()
    assert not list(made.workdir.glob("cluster/*"))


def test_what_a_dead_driver_left_is_ended_by_the_next_one(quiet_bed, tmp_path):
    workdir, said = Workdir(tmp_path), []
    keys = tmp_path / "cluster" / "tls-cb-dead"
    keys.mkdir(parents=True)
    sleep = ("sbatch", "--parsable", "--output=/dev/null", "--wrap", "sleep 600")
    job = quiet_bed.call(*sleep, "-J", "cb-dead").strip()
    other = quiet_bed.call(*sleep, "-J", "cb-other").strip()
    file = leftovers.record_file(workdir, "cb-dead")
    leftovers.write_record(file, "slurm", "cb-dead", [job], str(keys))
    leftovers.cancel_earlier(workdir, said.append)
    assert said == ["An earlier run was killed: its jobs cb-dead are ended."]
    quiet_bed.wait_until(lambda: [found for found, _, _ in quiet_bed.jobs()] == [other])
    assert not list((tmp_path / "cluster").iterdir())
    quiet_bed.call("scancel", other)


def assert_no_secret(workdir):
    """Keys are neither in logs nor in job scripts, nor in what the catalogue says of its making."""
    for path in workdir.rglob("*"):
        if path.is_file() and path.suffix in (".json", ".jsonl", ".log", ".sh", ".html"):
            assert "PRIVATE KEY" not in path.read_text(errors="replace"), path
