"""Whatever the moment of a signal: one line, exit code 130, and nothing left."""

import signal
import subprocess
import time

import pytest

from catalog_builder.looking.status import read_status

#: Seconds after the start, and whom a signal reaches; `interrupts.py` tries twenty.
MOMENTS = [
    (0.4, signal.SIGINT, True),  # imports of the command line
    (1.2, signal.SIGTERM, False),  # imports of torch and Dask
    (2.5, signal.SIGINT, True),  # scheduler and workers start
    (4.0, signal.SIGHUP, False),
    (8.0, signal.SIGINT, False),  # work
]


@pytest.mark.parametrize(("delay", "number", "group"), MOMENTS)
def test_a_run_ends_with_one_line_and_leaves_nothing(interrupts, tmp_path, delay, number, group):
    work = tmp_path / "work"
    made = interrupts.interrupt(interrupts.command(work), work, delay, number, group=group)
    assert made.findings == []
    assert made.code == 130
    if (work / "logs").is_dir():
        assert read_status(work).driver is None
        assert read_status(work).last_error in (None, "It was interrupted.")


def test_more_signals_while_it_ends_change_nothing(interrupts, tmp_path):
    work = tmp_path / "work"
    made = interrupts.interrupt(interrupts.command(work), work, 5.0, again=0.05)
    assert (made.code, made.findings) == (130, [])


@pytest.mark.parametrize("words", [("doctor",), ("simulate", "--stars", "600"), ("validate", ".")])
def test_other_commands_end_as_well(interrupts, tmp_path, words):
    target = {"doctor": "--workdir", "simulate": "--out"}.get(words[0])
    folder = tmp_path / "made"
    more = () if target is None else (target, str(folder))
    for delay in (0.5, 3.0):
        command = (*interrupts.PROGRAM, *words, *more)
        own = 8 if words[0] == "validate" else 0  # here is no catalogue
        made = interrupts.interrupt(command, folder, delay, own=own)
        # What is over sooner than the signal comes has nothing to interrupt.
        assert made.findings == []
        assert made.code == 130 or (made.code == 0 and delay > 1.0) or words[0] == "validate"
        assert made.code == 0 or not folder.exists()


def test_ctrl_c_that_is_ignored_stays_so(interrupts):
    """As in a job that a shell has put into the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = subprocess.Popen(
            [*interrupts.PROGRAM, "describe"], stdout=subprocess.PIPE, start_new_session=True
        )
    finally:
        signal.signal(signal.SIGINT, before)
    for _ in range(5):
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
    said, _ = process.communicate()
    assert process.returncode == 0
    assert b"teff" in said
