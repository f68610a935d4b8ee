"""A training that is killed goes on from its last checkpoint and ends with the same bytes."""

import json
import subprocess
import sys
from pathlib import Path

EPOCHS = 6
KILLED_AFTER = 3

TRAIN = f"""
import json, sys
from pathlib import Path
from catalog_builder.model.fit import fit_member
from catalog_builder.model.settings import ModelSettings
from catalog_builder.training.store import load_training

data, scaling = load_training(Path(sys.argv[1]))
settings = ModelSettings(epochs={EPOCHS}, min_label_stars=50)
made = fit_member(
    data, scaling, settings, member=0, seed=1, out=Path(sys.argv[2]),
    on_epoch=lambda row: print(json.dumps(row), flush=True),
)
print(json.dumps({{"digest": made.digest, "validation_loss": made.validation_loss}}), flush=True)
"""


def start(kills, training: Path, out: Path) -> subprocess.Popen:
    command = [sys.executable, "-c", TRAIN, str(training), str(out)]
    return subprocess.Popen(command, env=kills.environment(), stdout=subprocess.PIPE, text=True)


def end(process: subprocess.Popen) -> list[dict]:
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return [json.loads(line) for line in said.splitlines()]


def test_a_killed_training_ends_at_the_same_loss_and_bytes(kills, bench, tmp_path):
    (training,) = bench.reference.glob("training/*.zarr")
    *undisturbed, expected = end(start(kills, training, tmp_path / "undisturbed"))

    victim = start(kills, training, tmp_path / "killed")
    seen = [json.loads(victim.stdout.readline()) for _ in range(KILLED_AFTER)]
    victim.kill()
    victim.communicate()
    assert seen == undisturbed[:KILLED_AFTER]
    assert not (tmp_path / "killed" / "member.safetensors").exists()

    *resumed, made = end(start(kills, training, tmp_path / "killed"))
    # The kill may have come after one more checkpoint; what has one is not trained again.
    assert resumed[0]["epoch"] in (KILLED_AFTER + 1, KILLED_AFTER + 2)
    assert resumed == undisturbed[-len(resumed) :]
    assert made == expected
    for name in ("member.safetensors", "checkpoint.safetensors", "training.jsonl"):
        files = [tmp_path / run / name for run in ("undisturbed", "killed")]
        assert files[0].read_bytes() == files[1].read_bytes(), name
