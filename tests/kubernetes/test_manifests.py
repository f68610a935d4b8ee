"""The manifests in deploy/kubernetes, held against what a cluster would say of them.

`make test-kubernetes` installs what this needs; it is skipped elsewhere.
"""

import copy

import dask
import pytest
import yaml
from dask.utils import parse_bytes
from distributed.security import Security

pytest.importorskip("dask_kubernetes", reason="not installed: make test-kubernetes")
pytest.importorskip("kubernetes_validate", reason="not installed: make test-kubernetes")

from catalog_builder.ground.errors import ConfigError
from catalog_builder.run.config import load_config
from catalog_builder.runtime.clusters.local import WORKER_ENVIRONMENT, WORKER_MEMORY
from tests.kubernetes.manifests import OVERLAYS, pods, problems, render

NAMES = ("cpu", "test", "gpu/features", "gpu/training", "gpu/catalogue")


@pytest.fixture(scope="module")
def rendered():
    return {name: render(OVERLAYS / name) for name in NAMES}


def of_kind(manifests, kind):
    return next(each for each in manifests if each["kind"] == kind)


@pytest.mark.parametrize("name", NAMES)
def test_an_overlay_is_strictly_valid_and_restricted(rendered, name):
    assert problems(rendered[name]) == []


def test_no_overlay_is_left_out():
    found = {
        str(file.parent.relative_to(OVERLAYS)) for file in OVERLAYS.rglob("kustomization.yaml")
    }
    assert found == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_settings_of_the_run_exist(rendered, tmp_path, name):
    file = tmp_path / "run.yaml"
    file.write_text(of_kind(rendered[name], "ConfigMap")["data"]["run.yaml"])
    config = load_config(file, [], {})
    assert config.cluster.kind == "kubernetes"
    mounts = {mount["mountPath"] for mount in driver(rendered[name])["volumeMounts"]}
    assert str(config.workdir) in mounts
    assert config.archive in {*mounts, None}


@pytest.mark.parametrize("name", NAMES)
def test_the_plan_reckons_with_the_memory_that_workers_have(rendered, tmp_path, name):
    file = tmp_path / "run.yaml"
    file.write_text(of_kind(rendered[name], "ConfigMap")["data"]["run.yaml"])
    given = [part for part in driver(rendered[name])["command"] if part.startswith("--set=")]
    config = load_config(file, [part.removeprefix("--set=") for part in given], {})
    container = worker_container(rendered[name])
    assert "--memory-limit=0.85" in container["command"]
    has = 0.85 * parse_bytes(container["resources"]["limits"]["memory"].replace("i", "iB"))
    assert 0.9 * has < parse_bytes(config.cluster.memory_limit) <= has


def test_a_typo_in_the_settings_of_the_run_is_found(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("cluster: {kin: kubernetes}")
    with pytest.raises(ConfigError, match="unknown setting"):
        load_config(file, [], {})


def test_workers_are_set_up_as_the_program_would(rendered):
    settings = yaml.safe_load(of_kind(rendered["cpu"], "ConfigMap")["data"]["dask.yaml"])
    assert settings["distributed"]["nanny"]["pre-spawn-environ"] == WORKER_ENVIRONMENT
    for key, wanted in WORKER_MEMORY.items():
        found = settings
        for name in key.split("."):
            found = found[name]
        assert found == wanted, key
    attempts = load_config(None, [], {}).cluster.attempts
    assert settings["distributed"]["scheduler"]["allowed-failures"] == attempts - 1


def test_dask_knows_every_setting_it_is_given(rendered):
    settings = yaml.safe_load(of_kind(rendered["cpu"], "ConfigMap")["data"]["dask.yaml"])
    known = copy.deepcopy(dask.config.config)

    def unknown(given, defaults, place=""):
        for key, value in given.items():
            if key not in defaults and key.replace("-", "_") not in defaults:
                yield f"{place}{key}"
            elif isinstance(value, dict) and key != "pre-spawn-environ":
                yield from unknown(value, defaults[key] or {}, f"{place}{key}.")

    assert list(unknown(settings, known)) == []


def test_every_connection_is_encrypted_and_has_a_certificate(rendered):
    settings = yaml.safe_load(of_kind(rendered["cpu"], "ConfigMap")["data"]["dask.yaml"])
    with dask.config.set(dask.config.merge(dask.config.config, settings)):
        security = Security()
    assert security.require_encryption
    for role in ("scheduler", "worker", "client"):
        assert security.get_tls_config_for_role(role) == {
            "ca_file": "/tls/ca.pem",
            "cert": "/tls/cert.pem",
            "key": "/tls/key.pem",
            "ciphers": None,
        }


def test_the_training_has_one_gpu_and_no_way_round_it(rendered):
    job = of_kind(rendered["gpu/training"], "DaskJob")
    assert job["spec"]["cluster"]["spec"]["worker"]["replicas"] == 1
    assert "--set=device=cuda" in driver(rendered["gpu/training"])["command"]
    for name in ("gpu/features", "gpu/catalogue", "cpu", "test"):
        assert "nvidia.com/gpu" not in yaml.safe_dump(rendered[name])


def test_nothing_scales_a_cluster(rendered):
    for manifests in rendered.values():
        assert "DaskAutoscaler" not in {each["kind"] for each in manifests}


def test_no_key_is_in_the_manifests(rendered):
    for manifests in rendered.values():
        assert "Secret" not in {each["kind"] for each in manifests}
        assert "PRIVATE KEY" not in yaml.safe_dump(manifests)


# --- typos: each must be found, or the checks above prove nothing --------------------------------


def driver(manifests):
    return of_kind(manifests, "DaskJob")["spec"]["job"]["spec"]["containers"][0]


def worker(manifests):
    return of_kind(manifests, "DaskJob")["spec"]["cluster"]["spec"]["worker"]


def rename(mapping, old, new):
    mapping[new] = mapping.pop(old)


def worker_container(manifests):
    return worker(manifests)["spec"]["containers"][0]


#: What each is, what is said of it, and how it is made.
TYPOS = {
    "replica": ("'replica' was unexpected", lambda m: rename(worker(m), "replicas", "replica")),
    "replicas in words": ("is not of type 'integer'", lambda m: worker(m).update(replicas="two")),
    "idleTimeOut": (
        "'idleTimeOut' was unexpected",
        lambda m: of_kind(m, "DaskJob")["spec"]["cluster"]["spec"].update(idleTimeOut=1),
    ),
    "no scheduler": (
        "'scheduler' is a required property",
        lambda m: of_kind(m, "DaskJob")["spec"]["cluster"]["spec"].pop("scheduler"),
    ),
    "kind DaskJobs": ("no such kind", lambda m: of_kind(m, "DaskJob").update(kind="DaskJobs")),
    "API version": (
        "no such kind",
        lambda m: of_kind(m, "DaskJob").update(apiVersion="kubernetes.dask.org/v2"),
    ),
    "imagePullPolice": (
        "'imagePullPolice' was unexpected",
        lambda m: worker_container(m).update(imagePullPolice="Always"),
    ),
    "no tag": (
        "an image without a tag",
        lambda m: driver(m).update(image="registry.example.org:5000/catalog-builder"),
    ),
    "runAsNonroot": (
        "runs as root",
        lambda m: rename(worker(m)["spec"]["securityContext"], "runAsNonRoot", "runAsNonroot"),
    ),
    "root": ("runs as root", lambda m: worker(m)["spec"]["securityContext"].update(runAsUser=0)),
    "privileged": (
        "is privileged",
        lambda m: worker_container(m)["securityContext"].update(privileged=True),
    ),
    "a capability": (
        "keeps capabilities",
        lambda m: worker_container(m)["securityContext"]["capabilities"].update(add=["SYS_PTRACE"]),
    ),
    "writable root": (
        "can write its root",
        lambda m: driver(m)["securityContext"].update(readOnlyRootFilesystem=False),
    ),
    "no /tmp": ("has no /tmp", lambda m: driver(m)["volumeMounts"].pop()),
    "a folder of the host": (
        "a kind that is not allowed",
        lambda m: worker(m)["spec"]["volumes"].append({"name": "host", "hostPath": {"path": "/"}}),
    ),
    "the network of the host": (
        "a namespace of the host",
        lambda m: worker(m)["spec"].update(hostNetwork=True),
    ),
    "a token": (
        "a token of the API",
        lambda m: worker(m)["spec"].update(automountServiceAccountToken=True),
    ),
    "memory in 4GB": (
        "is no quantity",
        lambda m: worker_container(m)["resources"]["limits"].update(memory="4GB"),
    ),
    "no limits": ("has no memory limit", lambda m: worker_container(m).pop("resources")),
    "a mount without volume": (
        "a volume that is not declared",
        lambda m: worker_container(m)["volumeMounts"][0].update(name="conf"),
    ),
    "another ConfigMap": (
        "needs ConfigMap/conf",
        lambda m: worker(m)["spec"]["volumes"][0]["configMap"].update(name="conf"),
    ),
    "another service": (
        "selects the scheduler of another job",
        lambda m: of_kind(m, "DaskJob")["metadata"].update(name="other"),
    ),
    "no label": ("does not cover it", lambda m: of_kind(m, "DaskJob")["metadata"].pop("labels")),
    "podSelectors": (
        "'podSelectors' was unexpected",
        lambda m: rename(of_kind(m, "NetworkPolicy")["spec"], "podSelector", "podSelectors"),
    ),
    "accessMode": (
        "'accessMode' was unexpected",
        lambda m: rename(of_kind(m, "PersistentVolumeClaim")["spec"], "accessModes", "accessMode"),
    ),
    "--nthread": (
        "does not know",
        lambda m: worker_container(m)["command"].append("--nthread-s=1"),
    ),
    "--clusters": (
        "No such option",
        lambda m: driver(m)["command"].append("--clusters=kubernetes"),
    ),
    "catalog_builder": (
        "a program that is not known",
        lambda m: driver(m)["command"].__setitem__(0, "catalog_builder"),
    ),
    "periodSecond": (
        "'periodSecond' was unexpected",
        lambda m: worker_container(m)["livenessProbe"].update(periodSecond=1),
    ),
    "a GPU nobody offers": (
        "a GPU that it does not offer",
        lambda m: [
            worker_container(m)["resources"][key].update({"nvidia.com/gpu": "1"})
            for key in ("limits", "requests")
        ],
    ),
    "an offered GPU that is not there": (
        "a GPU that it has not got",
        lambda m: worker_container(m)["command"].append("--resources=GPU=1"),
    ),
}


@pytest.mark.parametrize("typo", TYPOS)
def test_a_typo_is_found(rendered, typo):
    manifests = copy.deepcopy(rendered["cpu"])
    words, make = TYPOS[typo]
    make(manifests)
    assert [text for text in problems(manifests) if words in text]


def test_pods_are_found_wherever_they_are(rendered):
    places = [place for place, _ in pods(of_kind(rendered["cpu"], "DaskJob")["spec"])]
    assert sorted(places) == [
        ".cluster.spec.scheduler.spec",
        ".cluster.spec.worker.spec",
        ".job.spec",
    ]
