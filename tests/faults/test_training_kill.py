"""A training that is killed goes on from its last checkpoint and ends with the same bytes."""

import json
import subprocess
import sys
from pathlib import Path

EPOCHS = 6
KILLED_AFTER = 3
#: Small and quick: what is learnt does not matter here.
SETTINGS = {
    **{"epochs": EPOCHS, "min_label_stars": 50, "width": 32, "depth": 1, "flux_components": 8},
    **{"line_components": 8, "flux_filters": 2, "line_channels": (2, 2, 4, 4)},
}

TRAIN = f"""
import json, sys, time
from pathlib import Path
from catalog_builder.labels.agreed import default_contract
from catalog_builder.model.fit.member import fit_member
from catalog_builder.model.settings import ModelSettings
from catalog_builder.training.store import load_training

def tell(row):
    print(json.dumps(row), flush=True)
    if row["epoch"] == int(sys.argv[3]):
        time.sleep(600)  # to be killed

data, scaling = load_training(Path(sys.argv[1]), default_contract())
made = fit_member(
    data, scaling, ModelSettings(**{SETTINGS}), member=0, seed=1, out=Path(sys.argv[2]),
    on_epoch=tell,
)
print(json.dumps({{"digest": made.digest, "loss": made.loss}}), flush=True)
"""


def start(bench, training: Path, out: Path, *, hold_after: int = -1) -> subprocess.Popen:
    command = [sys.executable, "-c", TRAIN, str(training), str(out), str(hold_after)]
    return bench.programs.Popen(command, stdout=subprocess.PIPE, text=True)


def end(process: subprocess.Popen) -> list[dict]:
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return [json.loads(line) for line in said.splitlines()]


def test_a_killed_training_ends_at_the_same_loss_and_bytes(bench, tmp_path):
    (training,) = bench.reference.glob("training/*.zarr")
    *undisturbed, expected = end(start(bench, training, tmp_path / "undisturbed"))

    victim = start(bench, training, tmp_path / "killed", hold_after=KILLED_AFTER)
    seen = [json.loads(victim.stdout.readline()) for _ in range(KILLED_AFTER)]
    victim.kill()
    victim.communicate()
    assert seen == undisturbed[:KILLED_AFTER]
    assert not (tmp_path / "killed" / "member.safetensors").exists()

    *resumed, made = end(start(bench, training, tmp_path / "killed"))
    assert resumed[0]["epoch"] == KILLED_AFTER + 1  # what has a checkpoint is not trained again
    assert resumed == undisturbed[-len(resumed) :]
    assert made == expected
    for name in ("member.safetensors", "checkpoint.safetensors", "training.jsonl"):
        files = [tmp_path / run / name for run in ("undisturbed", "killed")]
        assert files[0].read_bytes() == files[1].read_bytes(), name
