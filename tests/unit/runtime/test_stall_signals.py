"""Silence is noticed, and a run that is told to stop is interrupted."""

import os
import signal
import threading
import time

import pytest

from catalog_builder.runtime.signals import termination_as_interrupt
from catalog_builder.runtime.stall import StallWatch, last_epoch
from catalog_builder.runtime.workdir import Workdir


def test_silence_is_reported_once_and_again_after_a_sign_of_life():
    told = []
    with StallWatch(0.2, told.append) as watch:
        time.sleep(0.7)
        assert len(told) == 1
        assert told[0] > 0.2
        watch.beat()
        time.sleep(0.7)
    assert len(told) == 2


def test_beats_and_other_signs_of_life_prevent_a_report():
    told = []
    with StallWatch(0.5, told.append, time.time):
        time.sleep(0.9)
    with StallWatch(1.0, told.append) as watch:
        for _ in range(4):
            time.sleep(0.3)
            watch.beat()
    assert told == []


def test_an_epoch_is_a_sign_of_life(tmp_path):
    assert last_epoch(Workdir(tmp_path)) == 0.0
    for member in ("a", "b"):
        log = tmp_path / "models" / "members" / member / "training.jsonl"
        log.parent.mkdir(parents=True)
        log.write_text("{}")
        os.utime(log, (5.0, 5.0 if member == "a" else 7.0))
    assert last_epoch(Workdir(tmp_path)) == 7.0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_stop_interrupts_once(number):
    before = signal.getsignal(number)
    with termination_as_interrupt():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)  # while cleaning up: ignored
    assert signal.getsignal(number) == before


def test_what_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with termination_as_interrupt():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_changes_no_handler():
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def inside():
        with termination_as_interrupt():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [before]
