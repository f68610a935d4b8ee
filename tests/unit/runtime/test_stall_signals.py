"""Silence is noticed, and a run that is told to stop is interrupted."""

import os
import signal
import subprocess
import sys
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


PROGRAM = """
import sys, time
from catalog_builder.runtime import signals
signals.take_over()
signals.PATIENCE_SECONDS = 0.5
"""
TIDYING = """
def work():
    with signals.at_the_end(tidy_up), signals.termination_as_interrupt():
        print("ready", flush=True)
        {body}

def tidy_up():
    print("tidied up", flush=True)

try:
    work()
except KeyboardInterrupt:
    pass
signals.leave(0)
"""
#: What a program is at, by what comes of a signal.
BODIES = {
    "unwinds": "time.sleep(60)",
    "swallows": """
        try:
            time.sleep(60)
        except BaseException:
            time.sleep(60)
""",
    "hangs": """
        try:
            time.sleep(60)
        finally:
            time.sleep(60)
""",
}


def interrupted(body, *numbers):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM + body],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    for number in numbers:
        process.send_signal(number)
        time.sleep(0.1)
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("body", BODIES)
def test_the_command_line_ends_with_one_line_whatever_becomes_of_the_exception(body, number):
    code, out, err = interrupted(TIDYING.replace("{body}", BODIES[body]), number, signal.SIGINT)
    assert (out, err) == ("tidied up\n", "Interrupted; the same command goes on from here.\n")
    assert code == 130


def test_with_nothing_to_tidy_up_it_ends_at_once():
    code, out, err = interrupted('print("ready", flush=True)\ntime.sleep(60)', signal.SIGINT)
    assert (code, out, err) == (130, "", "Interrupted.\n")


def test_a_signal_waits_for_the_end_of_what_must_not_be_cut():
    body = (
        'with signals.deferred():\n    print("ready", flush=True)\n    time.sleep(1)\n'
        '    print("whole", flush=True)\ntime.sleep(60)'
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        assert interrupted(body, number) == (130, "whole\n", "Interrupted.\n")


def test_after_all_is_done_a_signal_changes_nothing():
    body = 'import atexit\natexit.register(time.sleep, 1)\nprint("ready", flush=True)\n'
    assert interrupted(body + "signals.leave(0)", signal.SIGINT)[0] in (0, 130)
