"""A driver beside an operator-run cluster: what it is told when something is missing."""

import os
import stat
import subprocess
from pathlib import Path

import dask
import pytest
from distributed import LocalCluster
from distributed.security import Security

from catalog_builder.ground.errors import ClusterError, ConfigError
from catalog_builder.runtime.clusters import kubernetes
from catalog_builder.runtime.clusters.registry import make_cluster
from catalog_builder.runtime.clusters.settings import ClusterSettings
from catalog_builder.runtime.workdir import Workdir

pytest.importorskip("cryptography")


def cluster(folder: Path, **given):
    given = {"start_seconds": 3.0, **given}
    tls = given.pop("tls", False)
    return make_cluster(
        ClusterSettings.model_validate({"kind": "kubernetes", "tls": tls, "kubernetes": given}),
        Workdir(folder),
    )


@pytest.fixture
def certificates(tmp_path):
    """Return Dask's settings of a certificate, as a mounted Secret gives them to a pod."""
    security = Security.temporary().get_tls_config_for_role("client")
    for name, part in {"ca.pem": "ca_file", "cert.pem": "cert", "key.pem": "key"}.items():
        (tmp_path / name).write_text(security[part])
    pair = {"cert": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")}
    return {
        "distributed.comm.require-encryption": True,
        "distributed.comm.tls.ca-file": str(tmp_path / "ca.pem"),
        **{f"distributed.comm.tls.{role}": pair for role in ("scheduler", "worker", "client")},
    }


def test_a_driver_outside_a_pod_is_told_the_way_in(tmp_path):
    with (
        pytest.raises(ConfigError, match=r"no pod of a DaskJob.*kubectl apply -k"),
        cluster(tmp_path),
    ):
        pass
    (finding,) = cluster(tmp_path).check()
    assert "cluster.kubernetes.manifests" in str(finding.error)


def test_the_operators_own_address_is_refused(tmp_path):
    with (
        dask.config.set({"scheduler-address": "tcp://catalog-scheduler:8786"}),
        pytest.raises(ConfigError, match=r"not encrypted.*tls://"),
        cluster(tmp_path),
    ):
        pass


def test_a_pod_without_certificates_is_refused(tmp_path):
    with (
        dask.config.set({"scheduler-address": "tls://catalog-scheduler:8786"}),
        pytest.raises(ConfigError, match="no certificate"),
        cluster(tmp_path),
    ):
        pass
    with (
        dask.config.set({"scheduler-address": "tls://catalog-scheduler:8786"}),
        pytest.raises(ConfigError, match="A temporary certificate is unknown"),
        cluster(tmp_path, tls=True),
    ):
        pass


def test_a_scheduler_that_does_not_come_is_waited_for_and_named(
    tmp_path, certificates, monkeypatch
):
    monkeypatch.setattr(kubernetes, "ATTEMPT_SECONDS", 1.0)
    with (
        dask.config.set({"scheduler-address": "tls://127.0.0.1:1", **certificates}),
        pytest.raises(ClusterError, match=r"tls://127.0.0.1:1 within 3 s.*describe pod"),
        cluster(tmp_path),
    ):
        pass


def test_a_driver_works_on_the_cluster_and_says_when_it_has_no_worker(tmp_path, certificates):
    with (
        dask.config.set(certificates),
        LocalCluster(
            n_workers=0,
            threads_per_worker=1,
            processes=False,
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            protocol="tls://",
            host="127.0.0.1",
            security=Security(),
        ) as scheduler,
        dask.config.set({"scheduler-address": scheduler.scheduler_address}),
    ):
        with pytest.raises(ClusterError, match="no worker after 3 s"), cluster(tmp_path):
            pass
        scheduler.scale(1)
        with cluster(tmp_path, start_seconds=30.0) as opened:
            assert opened.client.submit(sum, [1, 2]).result(timeout=30) == 3
        (finding,) = cluster(tmp_path, start_seconds=30.0).check()
        assert "1 workers, 0 with the resource GPU" in finding.text


# --- looking from outside -------------------------------------------------------------------------


@pytest.fixture
def kubectl(tmp_path, monkeypatch):
    """Put a program named kubectl on the PATH that says what a test writes into it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def write(script: str) -> None:
        program = folder / "kubectl"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    return write


def test_a_dry_run_prints_the_manifests(tmp_path, kubectl):
    kubectl('echo "kind: DaskJob # $1 $2"')
    assert (
        cluster(tmp_path, manifests=tmp_path).describe()
        == f"kind: DaskJob # kustomize {tmp_path}\n"
    )
    assert cluster(tmp_path).describe() == ""


def test_manifests_that_cannot_be_rendered_are_named(tmp_path, kubectl):
    kubectl("echo 'error: no kustomization file' >&2; exit 1")
    with pytest.raises(ConfigError, match="cannot be rendered: error: no kustomization file"):
        cluster(tmp_path, manifests=tmp_path / "cpu").describe()
    (finding,) = cluster(tmp_path, manifests=tmp_path / "cpu").check()
    assert "cannot be rendered" in str(finding.error)


#: A cluster in trouble, as kubectl tells of it.
TROUBLE = """
case "$1 $2" in
  kustomize*) cat <<'END'
kind: DaskJob
metadata: {name: catalog, namespace: stars}
spec:
  job: {spec: {volumes: [
    {name: tls, secret: {secretName: catalog-tls}},
    {name: workdir, persistentVolumeClaim: {claimName: catalog-workdir}}]}}
  cluster: {spec: {worker: {replicas: 4, spec: {containers: [
    {resources: {limits: {memory: 4Gi}}}]}}}}
END
;;
  "get customresourcedefinition") echo 'Error: not found' >&2; exit 1;;
  "get secret") echo '{"data": {"ca.pem": "", "cert.pem": ""}}';;
  "get persistentvolumeclaim") echo '{"status": {"phase": "Lost"}}';;
  "get pods") cat <<'END'
{"items": [
  {"metadata": {"name": "a"}, "status": {"phase": "Running"}},
  {"metadata": {"name": "b"}, "status": {"phase": "Pending", "conditions": [
    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
     "message": "0/3 nodes are available: 3 Insufficient memory"}]}},
  {"metadata": {"name": "c"}, "status": {"phase": "Pending", "containerStatuses": [
    {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]}}]}
END
;;
esac
"""


def test_the_doctor_says_what_is_missing_and_why_pods_wait(tmp_path, kubectl):
    kubectl(TROUBLE)
    findings = cluster(tmp_path, manifests=tmp_path).check()
    assert [finding.text for finding in findings if not finding.error] == [
        "catalog in namespace stars: 4 workers of memory 4Gi",
        "pod a: Running",
    ]
    errors = [str(finding.error) for finding in findings if finding.error]
    assert errors[0].startswith("no Dask operator: Error: not found. Install it")
    assert "Secret catalog-tls lacks key.pem" in errors[1]
    assert "make-secret.sh" in errors[1]
    assert "volume catalog-workdir: Lost" in errors[2]
    assert (
        "pod b: Pending, Unschedulable: 0/3 nodes are available: 3 Insufficient memory."
        in errors[3]
    )
    assert "pod c: Pending, ImagePullBackOff: no such image" in errors[4]
    assert "kubectl -n stars describe pod c" in errors[4]
    assert len(errors) == 5


def test_a_machine_without_kubectl_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="kubectl is not on the PATH"):
        cluster(tmp_path, manifests=tmp_path).describe()


def test_certificates_are_a_secret_whose_authority_is_gone(kubectl, tmp_path):
    script = Path(__file__).parents[4] / "deploy" / "kubernetes" / "make-secret.sh"
    kubectl(f'pwd > {tmp_path}/where; ls; echo "$@"; openssl verify -CAfile ca.pem cert.pem')
    done = subprocess.run([script], check=True, capture_output=True, text=True)
    assert "cert.pem: OK" in done.stdout
    assert "--from-file=key.pem --dry-run=client" in done.stdout
    assert "ca.key" not in done.stdout.partition("create")[2]
    assert not Path((tmp_path / "where").read_text().strip()).exists()
