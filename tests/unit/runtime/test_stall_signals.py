"""Silence is noticed, and a run that is told to stop is interrupted."""

import os
import signal
import threading
import time
from types import SimpleNamespace

import pytest

from catalog_builder.runtime import stall
from catalog_builder.runtime.signals import termination_as_interrupt
from catalog_builder.runtime.stall import StallWatch, epochs_logged, last_epoch
from catalog_builder.runtime.workdir import Workdir


class Clock:
    """Time that passes when a test says so; its watch looks at it every few milliseconds."""

    def __init__(self, monkeypatch):
        self.now, self.looks, self.sign = 1000.0, 0, 0.0
        monkeypatch.setattr(stall, "time", SimpleNamespace(monotonic=lambda: self.now))

    def last_sign(self):
        self.looks += 1
        return self.sign

    def pass_by(self, seconds):
        """Let time pass, and the watch look at it twice."""
        self.now += seconds
        seen, patience = self.looks, time.monotonic() + 60
        while self.looks < seen + 3:
            assert time.monotonic() < patience
            time.sleep(0.001)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_silence_is_reported_once_and_again_after_a_sign_of_life(clock):
    told = []
    with StallWatch(0.02, told.append, clock.last_sign) as watch:
        clock.pass_by(0.01)
        assert told == []
        clock.pass_by(0.05)
        clock.pass_by(0.05)
        assert told == [pytest.approx(0.06)]
        watch.beat()
        clock.pass_by(0.05)
    assert told[1:] == [pytest.approx(0.05)]


def test_beats_and_other_signs_of_life_prevent_a_report(clock):
    told = []
    with StallWatch(0.02, told.append, clock.last_sign) as watch:
        for _ in range(4):
            watch.beat()
            clock.pass_by(0.009)
        for _ in range(4):
            clock.sign = clock.now
            clock.pass_by(0.009)
    assert told == []


def test_an_epoch_is_a_sign_of_life(tmp_path):
    assert last_epoch(Workdir(tmp_path)) == 0.0
    for member in ("a", "b"):
        log = tmp_path / "models" / "members" / member / "training.jsonl"
        log.parent.mkdir(parents=True)
        log.write_text("{}")
        os.utime(log, (5.0, 5.0 if member == "a" else 7.0))
    assert last_epoch(Workdir(tmp_path)) == 7.0
    assert epochs_logged(Workdir(tmp_path)) == 4


def test_a_step_of_the_clock_is_no_silence_and_no_sign_of_life(clock, monkeypatch):
    told, stepped = [], time.time
    with StallWatch(0.02, told.append, clock.last_sign):
        monkeypatch.setattr(time, "time", lambda: stepped() + 86400.0)
        clock.pass_by(0.01)
        assert told == []
        clock.pass_by(0.05)
        assert told == [pytest.approx(0.06)]


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
