"""The profiles in `deploy/` are read by `--config` and describe jobs as a site would have them."""

from pathlib import Path

import pytest

from catalog_builder.ground.errors import ConfigError
from catalog_builder.run.config import RunConfig, load_config
from catalog_builder.runtime.clusters.batch_settings import SlurmSettings, seconds_of
from catalog_builder.runtime.clusters.registry import make_cluster
from catalog_builder.runtime.workdir import Workdir

pytest.importorskip("dask_jobqueue")

DEPLOY = Path(__file__).parents[2] / "deploy"
PROFILES = sorted([*DEPLOY.glob("slurm/*.yaml"), *DEPLOY.glob("pbs/*.yaml")])


def described(config: RunConfig, folder: Path) -> str:
    return make_cluster(config.cluster, Workdir(folder / "work")).describe()


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_profile_is_read_and_described(profile, tmp_path):
    config = load_config(profile, [], {})
    assert config.cluster.kind == profile.parent.name
    scripts = described(config, tmp_path)
    mark = {"slurm": "#SBATCH", "pbs": "#PBS"}[config.cluster.kind]
    assert f"{config.cluster.workers} jobs of this script" in scripts
    assert scripts.count("distributed.cli.dask_worker tls://") == scripts.count("#!/usr/bin/env")
    assert f"{mark} -" in scripts
    assert "--tls-key" in scripts
    assert "--lifetime" in scripts
    assert list(tmp_path.iterdir()) == [], "describing leaves nothing"


def test_the_memory_of_a_job_is_above_its_workers(tmp_path):
    config = load_config(DEPLOY / "slurm" / "generic.yaml", [], {})
    scripts = described(config, tmp_path)
    assert "--memory-limit 3.00GiB" in scripts
    assert "#SBATCH --mem=4352M" in scripts  # 1.25 x 3 GiB + 512 MiB
    given = load_config(
        None, ["cluster.slurm.job_memory=7GiB", "cluster.workers=1"], {"cluster.kind": "slurm"}
    )
    assert "#SBATCH --mem=7168M" in described(given, tmp_path)


def test_gpu_jobs_of_pbs_ask_for_one(tmp_path):
    scripts = described(load_config(DEPLOY / "pbs" / "generic.yaml", [], {}), tmp_path)
    assert "#PBS -l select=1:ncpus=4:ngpus=1:mem=4352mb" in scripts
    assert "#PBS -q gpuq" in scripts
    assert "--resources GPU=1" in scripts


@pytest.mark.parametrize(
    ("text", "seconds"), [("00:01:00", 60), ("1-00:00:00", 86_400), ("100:00:00", 360_000)]
)
def test_time_limits_are_read(text, seconds):
    assert seconds_of(text) == seconds


def test_yaml_may_take_a_time_limit_for_a_number(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("cluster: {slurm: {walltime: 12:00:00, gpu_walltime: 2-00:00:00}}\n")
    assert load_config(file, [], {}).cluster.slurm.walltime == "12:00:00"


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("cluster.slurm.walltime=00:20:00", "leaves no time to work"),
        ("cluster.slurm.walltime=soon", "pattern"),
        ("cluster.pbs.job_memory=much", "job_memory"),
    ],
)
def test_settings_that_cannot_work_are_refused(assignment, message):
    with pytest.raises(ConfigError, match=message):
        load_config(None, [assignment], {})


def test_a_gpu_that_is_demanded_must_have_a_queue():
    with pytest.raises(ConfigError, match=r"cluster.slurm does not say where a GPU is"):
        load_config(None, ["device=cuda"], {"cluster.kind": "slurm"})
    given = load_config(None, ["cluster.slurm.gpu_queue=gpu"], {"cluster.kind": "slurm"})
    assert given.training_device == "cuda"
    soft = ["cluster.slurm.gpu_queue=gpu", "cluster.gpu_fallback=true"]
    assert load_config(None, soft, {"cluster.kind": "slurm"}).training_device == "auto"
    assert RunConfig().training_device == "auto"


def test_the_workers_must_be_counted(tmp_path):
    config = load_config(None, [], {"cluster.kind": "slurm"})
    with pytest.raises(ConfigError, match="number of jobs is not set"):
        described(config, tmp_path)


def test_the_life_of_a_worker_ends_before_its_job():
    settings = SlurmSettings(walltime="01:00:00", lifetime_margin=600, lifetime_stagger=300)
    latest = settings.lifetime_of("01:00:00") + settings.lifetime_stagger / 2
    assert latest == 3600 - 600
