"""What is wrong is named, and nothing else; and there is a way out."""

from types import SimpleNamespace

import pytest

from catalog_builder.looking.status import ORDER
from catalog_builder.run.steps import STAGES, STEPS

SKY = (
    "gdr3/gaia_source/GaiaSource_000000-786431.csv.gz",
    "gdr3/Spectroscopy/rvs_mean_spectrum/RvsMeanSpectrum_000000-786431.csv.gz",
    "apogee/allStar-dr17-synspec_rev1.fits",
)


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """Folders and files to be wrong about."""
    root = tmp_path_factory.mktemp("there")
    for file in SKY:  # nothing is read before all that is wrong was said
        (root / "sky" / file).parent.mkdir(parents=True, exist_ok=True)
        (root / "sky" / file).touch()
    (root / "empty").mkdir()
    (root / "file").touch()
    for name in ("run/models/model-1", "run/plans", "run/logs", "run/receipts/ingest"):
        (root / name).mkdir(parents=True)
    (root / "run/models/model-1/model.json").write_text("{}")
    (root / "run/models/model-1/member-00.safetensors").touch()
    (root / "run/plans/model.json").write_text("{}")
    (root / "run/features").mkdir()
    (root / "run/features/left-over.zarr").mkdir()
    sealed = root / "run/catalogs/dr3/1.0-abc"
    sealed.mkdir(parents=True)
    (sealed / "RELEASE.json").write_text("{}")
    (sealed / "catalog.fits").touch()
    (sealed.parent / "latest").write_text("1.0-abc")
    return SimpleNamespace(root=root, sky=root / "sky")


RUN = ("run", "--release", "dr3", "--archive", "{sky}", "--workdir", "{new}")
WRONG = [
    # an archive that is not there is not a missing label file
    (("--archive", "/nowhere"), 4, "The archive /nowhere is not there", "Check --archive"),
    (("--archive", "{root}/file"), 4, "file is a file, not a folder", "Check --archive"),
    (("--archive", "{root}/empty"), 4, "empty holds no gaia_source", "--archive"),
    (("--archive", "{sky}/gdr3/gaia_source"), 4, "inside of an archive", "give --archive {sky}."),
    (("--archive", "foo://x"), 4, "The archive foo://x cannot be opened", "a path or a URL"),
    (("--archive", ""), 3, "The option for archive is empty", "leave it out"),
    (("--archive", "{sky}", "--labels", "/nowhere"), 4, "label file /nowhere is not", "--labels"),
    (("--labels", "{root}/empty"), 4, "empty cannot be read: it is a folder", "--labels"),
    # steps and stages
    (("--until", "match"), 3, "a stage of the step training-set", "--until training-set"),
    (("--until", "publish-chunks"), 3, "a stage of the step publish", "--until publish"),
    (("--until", "trian"), 3, "no such step", "Did you mean train?"),
    (("--until", "training_set"), 3, "no such step", "Did you mean training-set?"),
    (("--until", "labels", "--model", "m"), 3, "nothing is learnt", "ingest, predict, publish"),
    # releases, surveys, clusters
    (("--release", "dr9"), 3, "no description 'dr9'", "Give one of 4most-lrs, dr3"),
    (("--release", "DR3"), 3, "no description 'DR3'", "Did you mean dr3?"),
    (
        ("--release", "dr9-demo", "--archive", "{sky}"),
        3,
        "archive of its own",
        "Leave --archive out",
    ),
    (("--release", "{root}"), 3, "no description", "a YAML file"),
    (("--set", "training.survey=apogee17"), 3, "no description", "Did you mean apogee-dr17?"),
    (("--cluster", "slrum"), 3, "'slrum' is not known", "Did you mean slurm?"),
    (("--cluster", "localhost:8786"), 3, "is not known", "Did you mean tcp://localhost:8786?"),
    # models
    (("--model", "/nowhere"), 7, "--model /nowhere is not there", "model.json"),
    (("--model", "{root}/file"), 7, "is a file; a model is a folder", "model.json"),
    (("--model", "{root}/run"), 7, "run is not a trained model", "models/model-1.\n"),
    (("--model", "{root}/run/models"), 7, "is not a trained model", "models/model-1.\n"),
    (("--model", ""), 2, "it is empty", "-h"),
    # ranges
    (("--ranges", "900000"), 3, "900000 lies outside of the sky", "0 to 786431"),
    (("--ranges", "0-900000"), 3, "0-900000 lies outside of the sky", "0 to 786431"),
    (("--ranges", ""), 3, "'' is not a range", "000000-003111"),
    (("--ranges", "1,,2"), 3, "'' is not a range", "000000-003111"),
    # settings
    (
        ("--set", "model.member=8"),
        3,
        "model.member: unknown setting",
        "did you mean model.members or model.fold_members?",
    ),
    (("--set", "members=8"), 3, "members: unknown setting", "did you mean model.members?"),
    (("--set", "=8"), 3, "has no key", "section.key=value"),
    (("--set", "model=8"), 3, "model: it is a section", "model.KEY=VALUE"),
    (("--set", "version=1"), 3, "version: it is text", "quotes"),
    (("--version", "1/0"), 3, "version: it must be of letters", "--print-config"),
    (("--config", ""), 2, "it is empty", "-h"),
    # workdirs
    (("--workdir", "{root}/file"), 5, "cannot be written: {root}/file is a file", "--workdir"),
    (("--workdir", "{root}/file/x"), 5, "cannot be written: {root}/file is a file", "--workdir"),
    (("--workdir", ""), 2, "it is empty", "-h"),
]


@pytest.mark.parametrize("dry", [True, False], ids=["dry-run", "run"])
@pytest.mark.parametrize(
    ("options", "code", "problem", "way_out"), WRONG, ids=[" ".join(case[0]) for case in WRONG]
)
def test_a_run_says_what_is_wrong_before_anything_is_done(
    options, code, problem, way_out, dry, there, tmp_path, command
):
    def filled(text):
        return text.format(root=there.root, sky=there.sky, new=tmp_path / "new")

    answer = command(*map(filled, (*RUN, *options)), *(["--dry-run"] if dry else []))
    assert answer.code == code, answer.err
    assert filled(problem) in answer.err
    assert filled(way_out) in answer.err
    assert "Simulating" not in answer.err
    assert "to do" not in answer.err
    assert not dry or not (tmp_path / "new").exists()


@pytest.mark.parametrize("option", ["--archive", "--labels"])
def test_nothing_is_made_before_a_package_is_missed(option, there, tmp_path, command):
    run = [part.format(sky=there.sky, new=tmp_path / "new") for part in RUN]
    answer = command(*run, option, "gopher://h/x")
    assert answer.code == 4, answer.err
    assert "gopher" in answer.err
    assert not (tmp_path / "new").exists()


def test_an_unknown_demo_opens_no_cluster(tmp_path, command):
    for dry in ((), ("--dry-run",)):
        answer = command("run", "--release", "dr9-demo", "--workdir", tmp_path / "w", *dry)
        assert (answer.code, "Simulating" in answer.err) == (3, False)
        assert "no description 'dr9'" in answer.err


def test_every_stage_that_status_shows_belongs_to_a_step():
    assert tuple(STAGES) == STEPS
    assert sorted(stage for stages in STAGES.values() for stage in stages) == sorted(ORDER)


def test_learning_has_no_place_where_a_model_is_given(there, tmp_path, command):
    for step in ("train", "training-set"):
        answer = command(step, "--archive", there.sky, "--workdir", tmp_path, "--model", "m")
        assert answer.code == 3
        assert f"{step} is for learning, but a trained model is given (m)" in answer.err


LOOKING = [
    (("status", "--workdir", "{root}/nowhere"), 5, "not a workdir", "it is not there"),
    (("status", "--workdir", "{root}/file"), 5, "not a workdir", "it is a file"),
    (("explain", "5", "--workdir", "{root}/empty"), 5, "not a workdir", "no run was begun in it"),
    (("explain", "5", "--workdir", "{root}/run"), 5, "got as far as a plan", "status"),
    (("clean", "--workdir", "{root}/empty"), 5, "not a workdir", "Give the folder of a run"),
    (("validate", "{root}/nowhere"), 8, "is not a sealed catalogue: it is not there", "Give"),
    (("validate", "{root}/run"), 8, "is not a sealed catalogue", "run/catalogs/dr3.\n"),
    (("validate", "{root}/run/catalogs"), 8, "is not a sealed", "run/catalogs/dr3.\n"),
    (
        ("validate", "{root}/run/catalogs/dr3/1.0-abc/catalog.fits"),
        *(8, "is not a sealed catalogue", "Give {root}/run/catalogs/dr3/1.0-abc.\n"),
    ),
    (("validate", "{sky}"), 8, "is not a sealed catalogue", "RELEASE.json"),
    (
        ("simulate", "--out", "{root}/file/x", "--workers", "1"),
        5,
        "cannot be made",
        "Name another with --out",
    ),
    (("simulate", "--out", "{new}", "--release", "dr3-demo"), 3, "no desc", "Did you mean dr3?"),
    (("fetch", "--out", "{new}", "--ranges", "abc"), 3, "'abc' is not a range", "003111"),
    (("fetch", "--out", "{new}", "--ranges", "900000"), 3, "outside of the sky", "786431"),
    (("fetch", "--out", "{root}/file"), 5, "cannot be made: that is a file", "--out"),
]


@pytest.mark.parametrize(
    ("arguments", "code", "problem", "way_out"),
    LOOKING,
    ids=[" ".join(case[0]) for case in LOOKING],
)
def test_other_commands_say_what_is_wrong(
    arguments, code, problem, way_out, there, tmp_path, command
):
    def filled(text):
        return text.format(root=there.root, sky=there.sky, new=tmp_path / "new")

    answer = command(*map(filled, arguments))
    assert answer.code == code, answer.err
    assert filled(problem) in answer.err
    assert filled(way_out) in answer.err


@pytest.mark.parametrize("typed", ["n\n", "\n", "", "what?\n"])
def test_declining_to_clean_is_no_failure(typed, there, command):
    answer = command("clean", "--workdir", there.root / "run", typed=typed)
    assert answer.code == 0
    assert "left-over.zarr" in answer.out
    assert "Nothing was removed" in answer.out
    assert (there.root / "run/features/left-over.zarr").is_dir()


@pytest.mark.parametrize("typed", ["y\n", "YES\n"])
def test_agreeing_to_clean_removes(typed, tmp_path, command):
    for name in ("logs", "features/left-over.zarr"):
        (tmp_path / name).mkdir(parents=True)
    answer = command("clean", "--workdir", tmp_path, typed=typed)
    assert (answer.code, "Removed" in answer.out) == (0, True)
    assert not (tmp_path / "features/left-over.zarr").exists()
