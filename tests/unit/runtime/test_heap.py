from __future__ import annotations

import sys

import numpy as np
import psutil
import pytest

from catalog_builder.runtime import heap


@pytest.mark.skipif(sys.platform != "linux" or heap._TRIM is None, reason="no glibc")
def test_what_was_freed_goes_back_to_the_system():
    process = psutil.Process()
    # Pieces below the size that is mapped by itself, and one in between that stays.
    pieces = [np.ones(2000) for _ in range(4000)]
    full = process.memory_info().rss
    del pieces[:-1]
    heap.release()
    assert process.memory_info().rss < full - (40 << 20)
