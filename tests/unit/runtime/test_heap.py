from __future__ import annotations

import sys
import weakref

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
    heap.release("a stage")
    assert process.memory_info().rss < full - (40 << 20)


def test_the_first_task_of_a_stage_leaves_no_circle():
    class Link:
        pass

    def left():
        one = Link()
        one.itself = one
        return weakref.ref(one)

    heap._collect_once.cache_clear()
    try:
        kept = left()
        heap.release("a stage")
        assert kept() is None
    finally:
        heap._collect_once.cache_clear()
