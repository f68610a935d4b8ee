"""No credential and no home path in anything that is written."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog_builder.ground.errors import InputError
from catalog_builder.runtime.events import Events
from catalog_builder.runtime.quarantine import all_given_up, give_up
from catalog_builder.runtime.receipts import read_receipt
from catalog_builder.runtime.redaction import redact, redact_credentials, redact_json
from catalog_builder.runtime.tasks import Outcome, Stage, Task, run_task
from catalog_builder.runtime.workdir import Workdir

SECRET = "hunter2"
DIRTY = f"https://me:{SECRET}@host/a/b.gz?token={SECRET}&expires=1"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("https://me:hunter2@host/a/b.gz", "https://***@host/a/b.gz"),
        ("https://hunter2@host/a", "https://***@host/a"),
        ("https://me:p@ss@host/a", "https://***@host/a"),
        ("s3://bucket/key?X-Amz-Signature=abc&X=d", "s3://bucket/key?X-Amz-Signature=***&X=***"),
        ("GaiaSource.csv.gz?token=abc", "GaiaSource.csv.gz?token=***"),
        ("mail a@b.c about http://host/x", "mail a@b.c about http://host/x"),
        ("is it so? a=b", "is it so? a=b"),
        ("ftp://u:p@h and ftp://v:q@i", "ftp://***@h and ftp://***@i"),
        ("http://host/a@b", "http://host/a@b"),
    ],
)
def test_credentials_go_and_the_rest_stays(text, clean):
    assert redact_credentials(text) == clean
    assert redact(text) == clean


def test_the_home_is_shortened(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    assert (
        redact("/home/someone/archive x /home/someone-else y") == "~/archive x /home/someone-else y"
    )
    assert redact("in /home/someone.") == "in /home/someone." or "someone" not in redact(
        "/home/someone"
    )
    assert redact_json({"/home/someone/a": [{"b": "/home/someone"}], "n": 1}) == {
        "~/a": [{"b": "~"}],
        "n": 1,
    }
    assert redact_json(["/home/someone/a"], paths=False) == ["/home/someone/a"]
    monkeypatch.setenv("HOME", "/")
    assert redact("/a/b") == "/a/b"


words = st.text(alphabet="abcXYZ019._~!$-", min_size=1, max_size=12)


@given(words, words, words, words)
def test_a_password_never_survives(user, password, host, value):
    marked = f"SECRET{password}SECRET"
    url = f"see https://{user}:{marked}@{host}/path?sig={marked}&n={value} there"
    assert "SECRET" not in redact(url)
    assert host in redact_credentials(url)


def test_the_log_is_clean(tmp_path, capsys):
    events = Events(tmp_path, verbosity=1)
    events.say(f"reading {DIRTY}")
    events.warn(f"odd: {DIRTY}")
    events.record("done", url=DIRTY, deep={"list": [DIRTY, Path.home() / "x"]})
    events.record_error(InputError(f"{DIRTY} cannot be read.", "Correct it."))
    events.record_error(ZeroDivisionError(DIRTY))
    events.close()
    (log,) = tmp_path.iterdir()
    text = log.read_text()
    assert SECRET not in text + capsys.readouterr().err
    assert str(Path.home()) + "/" not in text
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["event"] for line in lines] == ["warning", "done", "error", "error"]
    assert {line["run"] for line in lines} == {events.run}
    assert "traceback" not in lines[2], "an error in words needs none"
    assert "ZeroDivisionError" in lines[3]["traceback"]


def test_receipts_and_quarantine_are_clean(tmp_path):
    workdir = Workdir(tmp_path)

    def work(context, task):
        out = workdir.new_output("rows", "a", suffix=".txt")
        out.write_text("x")
        inputs = {"t": {"file": DIRTY.rsplit("/", 1)[-1], "url": DIRTY}}
        notes = {"file_rejects": {"t": f"{DIRTY} ended early"}}
        return Outcome(1, 1, str(out.relative_to(tmp_path)), "d", inputs=inputs, notes=notes)

    task = Task("s", "a", "k")
    run_task(Stage("s", 1, work), None, workdir, task)
    give_up(workdir, task, f"{DIRTY} is wrong")
    for file in tmp_path.glob("receipts/*/*"):
        assert SECRET not in file.read_text()
    assert read_receipt(workdir.receipt_file("s", "a")) is not None
    assert all_given_up(workdir)[0].reason.startswith("https://***@host/a/b.gz")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_ends_the_log_and_not_the_run(tmp_path, capsys, monkeypatch):
    events = Events(tmp_path)
    events.close()
    full = Path("/dev/full").open("w")  # noqa: SIM115 - the log closes it
    monkeypatch.setattr(events, "_file", full)
    events.record("done")
    events.record("done")
    assert capsys.readouterr().err.count("the log cannot be written") == 1
