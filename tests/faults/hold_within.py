"""A Dask worker preload that stops in the middle of publishing.

Loaded by the fault suite alone, as `hold_receipt.py` is. Where it stops is ``HOLD_WITHIN``: half of
a chunk's FITS rows written; half of a file of a HATS leaf; half of the FITS header, in the seal;
all described and not yet revealed; revealed, and neither `latest` nor the receipt written. The
first that comes there creates the file in ``HOLD_FLAG``, with its process id in it, and waits there
to be killed.
"""

import os
import time
from pathlib import Path

from catalog_builder.catalog.exports import _fits_by_chunks, _hats_parts
from catalog_builder.publish import seal


def dask_setup(worker):
    """Wrap one step of publishing in this worker."""
    del worker
    {
        "rows": lambda: _hold_half(of_header=False),
        "leaf": _hold_half_of_a_leaf,
        "header": lambda: _hold_half(of_header=True),
        "described": lambda: _hold_after(seal, "_check"),
        "revealed": lambda: _hold_before(seal, "point_latest"),
    }[os.environ["HOLD_WITHIN"]]()


def _hold_half(*, of_header):
    write = _fits_by_chunks.write_at

    def half(path, place, data):
        if (place == 0) == of_header and _first():
            with path.open("r+b") as file:
                file.seek(place)
                file.write(data[: len(data) // 2])
            time.sleep(300)
        write(path, place, data)

    _fits_by_chunks.write_at = half


def _hold_half_of_a_leaf():
    write = _hats_parts.write_at

    def half(path, place, data, *, whole):
        if _first():
            path.write_bytes(data[: len(data) // 2])
            time.sleep(300)
        write(path, place, data, whole=whole)

    _hats_parts.write_at = half


def _hold_after(module, name):
    call = getattr(module, name)

    def held(*given):
        call(*given)
        if _first():
            time.sleep(300)

    setattr(module, name, held)


def _hold_before(module, name):
    call = getattr(module, name)

    def held(*given):
        if _first():
            time.sleep(300)
        call(*given)

    setattr(module, name, held)


def _first():
    try:
        with Path(os.environ["HOLD_FLAG"]).open("x") as file:
            file.write(str(os.getpid()))
    except FileExistsError:
        return False
    return True
