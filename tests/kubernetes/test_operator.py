"""The unmodified Dask operator on an emulated Kubernetes, from nothing to a sealed catalogue.

Three jobs, as a run with a GPU has them (docs/kubernetes.md, which also says what this does not
prove). One run of them is looked at by several tests.
"""

import sys
import time
from dataclasses import dataclass, field

import pytest

pytest.importorskip("dask_kubernetes", reason="not installed: make test-kubernetes")
pytest.importorskip("kubernetes_validate", reason="not installed: make test-kubernetes")

from catalog_builder.catalog.validate import validate_catalog
from catalog_builder.runtime.clusters.registry import make_cluster
from catalog_builder.runtime.clusters.settings import ClusterSettings
from catalog_builder.runtime.workdir import Workdir
from catalog_builder.simulate.sky import simulate
from tests.kubernetes.site import emulated, missing

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=missing()),
    pytest.mark.timeout(1800),  # twelve minutes on two cores that thirty processes shared
]

WORKERS = "/spec/cluster/spec/worker/replicas"
COMMAND = "/spec/job/spec/containers/0/command"


@dataclass
class Story:
    """What was seen while the run went on."""

    refused: str = ""
    labels: set[str] = field(default_factory=set)
    connections: dict[str, str] = field(default_factory=dict)
    restarts: int = 0
    replaced: tuple[str, str] = ("", "")
    gpu_pods: dict[str, int] = field(default_factory=dict)
    status: dict[str, str] = field(default_factory=dict)
    findings: list = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with emulated(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="module")
def story(site):
    """Run features, training and catalogue; kill the driver and a worker, delete a worker."""
    story, begin = Story(), time.monotonic()
    features = site.overlay("gpu/features", {"op": "replace", "path": WORKERS, "value": 2})
    typo = {"op": "move", "from": WORKERS, "path": WORKERS[:-1]}
    with pytest.raises(RuntimeError) as refused:
        site.apply(site.overlay("cpu", typo))
    story.refused = str(refused.value)
    site.apply(features)
    # Its pods wait for the Secret, as they would on a cluster; meanwhile the archive is filled.
    simulate("dr3", 600, 7, site.claims / "catalog-archive")
    site.make_secret()
    site.wait("a cluster", lambda: pods_of(site, "worker", ready=2))
    assert site.kill("--config")
    story.status["a killed driver"] = site.finish("catalog-features")
    site.kubectl("delete", "daskjob", "--namespace=catalog", "catalog-features")
    site.apply(features)
    workers = site.wait("two workers", lambda: pods_of(site, "worker", ready=2))
    killed, deleted = (argument_of(pod) for pod in workers)
    # An archive this small is read in a second: while we look around, the workers do nothing.
    assert site.hold(killed)
    assert site.hold(deleted)
    story.labels = {
        pod["metadata"]["labels"].get("app.kubernetes.io/part-of") for pod in site.listed("pods")
    }
    story.connections = connect(site)
    story.findings = look(site, features)
    assert site.kill(killed)
    story.restarts = site.wait("the restart", lambda: restarts(site, workers[0]))
    site.wait("its process", lambda: site.hold(killed))
    name = workers[1]["metadata"]["name"]
    site.kubectl("delete", "pod", "--namespace=catalog", name, "--wait=false")
    site.release(deleted)
    story.replaced = (name, site.wait("the other worker", lambda: replacement(site, workers)))
    site.release(killed)
    story.status["features"] = site.finish("catalog-features")
    story.seconds["features"] = time.monotonic() - begin

    # There is no GPU behind the emulated one.
    anywhere = {"op": "replace", "path": f"{COMMAND}/4", "value": "--set=device=auto"}
    site.apply(site.overlay("gpu/training", anywhere))
    site.wait("the GPU worker", lambda: pods_of(site, "worker", ready=1))
    story.gpu_pods = {pod["metadata"]["name"]: gpus(pod) for pod in site.listed("pods")}
    story.status["training"] = site.finish("catalog-training")
    story.seconds["training"] = time.monotonic() - begin

    site.apply(site.overlay("gpu/catalogue", {"op": "replace", "path": WORKERS, "value": 1}))
    story.status["catalogue"] = site.finish("catalog-catalogue")
    story.seconds["catalogue"] = time.monotonic() - begin
    print(
        "\nemulated: " + ", ".join(f"{key} {value:.0f} s" for key, value in story.seconds.items())
    )
    return story


def pods_of(site, component, ready):
    found = [
        pod
        for pod in site.listed("pods")
        if pod["metadata"]["labels"]["dask.org/component"] == component
        and pod["status"]["phase"] == "Running"
    ]
    return found if len(found) == ready else []


def argument_of(pod):
    """Return the argument by which the processes of a worker's pod are known."""
    return f"--name={pod['metadata']['name'].rpartition('-')[0]}"


def restarts(site, pod):
    name = pod["metadata"]["name"]
    (found,) = [each for each in site.listed("pods") if each["metadata"]["name"] == name]
    return found["status"]["containerStatuses"][0]["restartCount"]


def replacement(site, before):
    known = {pod["metadata"]["name"] for pod in before}
    names = {pod["metadata"]["name"] for pod in pods_of(site, "worker", ready=2)}
    return next(iter(names - known), None)


def gpus(pod):
    limits = pod["spec"]["containers"][0]["resources"]["limits"]
    return int(limits.get("nvidia.com/gpu", 0))


def look(site, overlay):
    """Return what `doctor --cluster kubernetes` finds from outside."""
    settings = {"kind": "kubernetes", "kubernetes": {"manifests": overlay}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(site.bin), prepend=":")
        cluster = make_cluster(ClusterSettings.model_validate(settings), Workdir(site.folder))
        return cluster.check()


#: A stranger at a port: says what the other side does. Arguments: address, port, and a folder of
#: certificates, `none` for no certificate, or `plain` for no encryption.
STRANGER = """
import socket, ssl, sys
address, port, how = sys.argv[1:]
try:
    wire = socket.create_connection((address, int(port)), timeout=5)
    if how != "plain":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if how != "none":
            context.load_cert_chain(f"{how}/cert.pem", f"{how}/key.pem")
        wire = context.wrap_socket(wire)
    print("answer" if wire.recv(8) else "closed")
except OSError as error:
    print(getattr(error, "reason", None) or type(error).__name__)
"""


def connect(site):
    (scheduler,) = pods_of(site, "scheduler", ready=1)
    address = scheduler["status"]["podIP"]
    files = next(site.run.glob("pods/*/tls"))
    foreign = site.folder / "foreign"
    foreign.mkdir()
    pair = ("-keyout", str(foreign / "key.pem"), "-out", str(foreign / "cert.pem"))
    site.inside("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", *pair)
    asked = {
        "own certificate": ("8786", str(files)),
        "no certificate": ("8786", "none"),
        "certificate of another authority": ("8786", str(foreign)),
        "no encryption": ("8786", "plain"),
        "dashboard": ("8787", "plain"),
    }

    def answer(name):
        return site.inside(sys.executable, "-c", STRANGER, address, *asked[name]).stdout.strip()

    site.wait("the scheduler's port", lambda: answer("own certificate") != "ConnectionRefusedError")
    return {name: answer(name) for name in asked}


def test_the_server_refuses_a_typo(story):
    assert "'replica' was unexpected" in story.refused


def test_the_jobs_end_well_and_leave_no_cluster(story, site):
    assert story.status.pop("a killed driver") == "Failed"
    assert story.status == dict.fromkeys(("features", "training", "catalogue"), "Successful")
    assert site.listed("daskclusters") == []
    assert site.listed("daskworkergroups") == []
    assert site.listed("services") == []
    components = {pod["metadata"]["labels"]["dask.org/component"] for pod in site.listed("pods")}
    assert components == {"job-runner"}


def test_a_catalogue_is_sealed_and_valid(story, site):
    (release,) = (site.claims / "catalog-workdir" / "catalogs").iterdir()
    (sealed,) = [path for path in release.iterdir() if path.is_dir() and not path.is_symlink()]
    assert validate_catalog(sealed) == []
    assert "published" in site.log("catalog-catalogue-runner")


def test_a_killed_worker_is_started_again_and_a_deleted_one_replaced(story):
    assert story.restarts >= 1
    gone, new = story.replaced
    assert new
    assert new != gone


def test_the_training_alone_has_the_gpu(story, site):
    held = {name: count for name, count in story.gpu_pods.items() if count}
    assert list(held.values()) == [1]
    assert next(iter(held)).startswith("catalog-training-default-worker")
    log = site.log("catalog-catalogue-runner")
    assert "train:" not in log  # it was found done
    assert "Tasks carried out" in log


def test_who_is_not_of_the_run_gets_no_answer(story):
    assert story.connections == {
        "own certificate": "answer",
        "no certificate": "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "certificate of another authority": "TLSV1_ALERT_UNKNOWN_CA",
        "no encryption": story.connections["no encryption"],
        "dashboard": "ConnectionRefusedError",
    }
    assert story.connections["no encryption"] in {"closed", "ConnectionResetError", "TimeoutError"}


def test_the_network_policy_reaches_every_pod(story):
    assert story.labels == {"catalog-builder"}


def test_doctor_sees_the_run_from_outside(story):
    text = "\n".join(finding.text for finding in story.findings)
    assert [finding.error for finding in story.findings if finding.error] == []
    assert "catalog-features in namespace catalog: 2 workers of cpu 1, memory 4Gi" in text
    assert "daskjobs.kubernetes.dask.org is installed" in text
    assert "Secret catalog-tls: ca.pem, cert.pem, key.pem" in text
    assert "volume catalog-workdir: Bound" in text
    assert "pod catalog-features-runner: Running" in text
