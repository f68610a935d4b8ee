"""What would be submitted is shown, and what would not work is found, without submitting."""

import sys

import pytest
import yaml

from catalog_builder import cli
from tests.cluster.conftest import settings


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    def run(given, *arguments):
        file = tmp_path / "run.yaml"
        file.write_text(yaml.safe_dump(given))
        monkeypatch.setattr(sys, "argv", ["catalog-builder", *arguments, "--config", str(file)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return run


def test_a_dry_run_prints_the_job_scripts_and_leaves_nothing(quiet_bed, command, sky, tmp_path):
    given = settings("slurm", workers=7, gpu_queue="gpu", account="astro")
    where = ("--archive", str(sky), "--workdir", str(tmp_path / "work"), "--dry-run")
    code, out, err = command(given, "run", *where)
    assert code == 0, err
    assert "7 jobs of this script" in out
    for line in ("#SBATCH -p cpu", "#SBATCH -p gpu", "#SBATCH -A astro", "#SBATCH --gres=gpu:1"):
        assert line in out
    assert "--resources GPU=1" in out
    assert "--mem=2012M" in out  # above the 1200 MiB of the worker
    assert not (tmp_path / "work").exists()
    assert not quiet_bed.jobs()


def test_doctor_says_what_would_be_accepted(quiet_bed, command, tmp_path):
    given = {**settings("slurm", gpu_queue="gpu", gpu_cores=1), "workdir": str(tmp_path / "work")}
    code, out, err = command(given, "doctor")
    assert code == 0, err
    assert "cpu jobs go to cpu (2 idle nodes, 1:00:00, 6000 MB, (null))" in out
    assert "gpu jobs go to gpu (1 idle nodes, 1:00:00, 6000 MB, gpu:1)" in out
    assert "a gpu job could start" in out
    assert "certificates are made for each run" in out


def test_doctor_names_all_that_will_not_work(quiet_bed, command, tmp_path):
    given = settings("slurm", queue="nosuch", interface="ib7", job_memory="512MiB")
    code, out, _ = command({**given, "workdir": str(tmp_path / "work")}, "doctor")
    assert code == 3
    assert "the batch system would kill it before Dask notices" in out
    assert "There is no network interface 'ib7'" in out
    assert "There is no partition 'nosuch'" in out
