"""The same sky in this process and on two workers."""

from __future__ import annotations

import hashlib

from distributed import Client

from catalog_builder.simulate.sky import simulate


def _digests(out):
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


def test_bytes_do_not_depend_on_the_number_of_workers(site, tmp_path):
    simulate("dr3", 600, 3, tmp_path / "here")
    with Client(site.address) as client:
        assert len(client.scheduler_info()["workers"]) == 2
        simulate("dr3", 600, 3, tmp_path / "there", client)
    here, there = _digests(tmp_path / "here"), _digests(tmp_path / "there")
    assert here == there
    assert len(here) == 6 * 5 - 1 + 5 + 1 + 6 + 1 + 1
