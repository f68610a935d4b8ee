"""The same sky with one worker and with two."""

from __future__ import annotations

import hashlib

from distributed import Client, LocalCluster

from catalog_builder.simulate.sky import simulate


def _digests(out):
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


def test_bytes_do_not_depend_on_the_number_of_workers(tmp_path):
    found = []
    for workers in (1, 2):
        out = tmp_path / str(workers)
        with (
            LocalCluster(
                n_workers=workers, threads_per_worker=1, dashboard_address="127.0.0.1:0"
            ) as cluster,
            Client(cluster) as client,
        ):
            simulate("dr3", 600, 3, out, client)
        found.append(_digests(out))
    assert found[0] == found[1]
    assert len(found[0]) == 6 * 5 - 1 + 5 + 1 + 6 + 1
