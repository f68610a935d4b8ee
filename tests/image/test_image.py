"""What the image promises, tried on one that was built: `make test-image`.

The name of the image comes from CATALOG_BUILDER_IMAGE; without it there is nothing to try.
"""

import functools
import json
import os
import subprocess
from pathlib import Path

import pytest

from catalog_builder import DISTRIBUTION
from catalog_builder.catalog.validate import validate_catalog

IMAGE = os.environ.get("CATALOG_BUILDER_IMAGE", "")
pytestmark = pytest.mark.skipif(not IMAGE, reason="no image is named: make test-image")

#: As deploy/kubernetes runs it: no network, no capability, a root that cannot be written.
CONFINED = (
    *("--rm", "--network=none", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL"),
    *("--security-opt=no-new-privileges", "--no-healthcheck"),
)
#: Podman as it is, and what it needs inside a container without the rights of a host.
PODMAN = (
    (("podman",), ()),
    (
        ("podman", "--runtime=runc", "--cgroup-manager=cgroupfs"),
        ("--ulimit=nofile=8192:8192", "--ulimit=nproc=8192:8192"),
    ),
)


@functools.cache
def podman():
    for before, after in PODMAN:
        tried = [*before, "run", *CONFINED, *after, IMAGE, "--version"]
        if subprocess.run(tried, capture_output=True, check=False).returncode == 0:
            return before, after
    raise RuntimeError(f"podman cannot run {IMAGE}")


def run(*arguments, options=(), program=None, code=0):
    """Run the image and return what it prints; `program` replaces catalog-builder."""
    before, after = podman()
    entry = () if program is None else (f"--entrypoint={program}",)
    command = [*before, "run", *CONFINED, *after, *options, *entry, IMAGE, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """Return a folder that the image's user may write."""
    folder = tmp_path_factory.mktemp("workdir")
    if os.geteuid() == 0:
        os.chown(folder, 10001, 10001)
    else:
        folder.chmod(0o777)
    return folder


def inspected():
    done = subprocess.run(["podman", "inspect", IMAGE], capture_output=True, check=True)
    (found,) = json.loads(done.stdout)
    return found


def test_it_is_nobody_and_can_write_nothing_but_tmp():
    script = "id -u; id -g; grep CapEff /proc/self/status; echo x > /tmp/x && echo tmp; echo x > /x"
    user, group, _, capabilities, tmp = run("-c", script, program="sh", code=2).split()
    assert (user, group) == ("10001", "10001")
    assert int(capabilities, 16) == 0
    assert tmp == "tmp"


def test_nothing_can_be_installed_in_it():
    run("-m", "pip", "--version", program="python", code=1)


def test_it_says_what_it_is_made_of():
    bill = json.loads(run("/usr/share/catalog-builder/sbom/python.cdx.json", program="cat"))
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == DISTRIBUTION
    found = {each["name"].lower(): each["version"] for each in bill["components"]}
    lines = Path(__file__).parents[2].joinpath("constraints.txt").read_text().splitlines()
    pinned = dict(line.lower().split("==") for line in lines if "==" in line)
    for name in ("torch", "numpy", "dask", "distributed", "zarr", "polars"):
        assert found[name].partition("+")[0] == pinned[name]
    debian = run("/usr/share/catalog-builder/sbom/debian.tsv", program="cat")
    assert "libc6\t" in debian


def test_it_is_healthy_when_the_doctor_says_so(workdir):
    check = {key.lower(): value for key, value in inspected().items()}["healthcheck"]
    assert check["Test"] == [*("CMD", "catalog-builder", "doctor", "--workdir", "/workdir")]
    said = run("doctor", "--workdir", "/workdir", options=[f"--volume={workdir}:/workdir"])
    assert "1 workers" in said
    run("doctor", "--workdir", "/workdir", code=5)  # nothing is mounted: it cannot be written


def test_it_carries_the_demo_through(workdir):
    command = ("run", "--release", "dr3-demo", "--workdir", "/workdir", "--tls", "true")
    assert "Sources:" in run(*command, options=[f"--volume={workdir}:/workdir"])
    (sealed,) = [path.parent for path in workdir.glob("catalogs/dr3/[!.]*-*/RELEASE.json")]
    assert validate_catalog(sealed) == []


def test_its_size(record_property):
    size = inspected()["Size"]
    record_property("size", size)
    print(f"\n{IMAGE}: {size / 1e9:.2f} GB")
    assert size < 3.0e9  # the CPU variant; most of it is torch, pyarrow, polars and llvmlite
