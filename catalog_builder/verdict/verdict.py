"""The verdict on a catalogue: a dozen checks, judged together.

A check fails where one of its numbers is beyond its tolerance by more than chance brings in a share
(`CheckSettings.false_fail_rate`) of catalogues in which nothing is wrong: the rate is shared out
evenly among the checks that can be made, and within each among its numbers (Bonferroni), so that it
holds for all of them together whatever depends on what. It warns where a number is beyond its
tolerance, and off by more than chance brings to one check in ten, but not by as much.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from catalog_builder.catalog.check_record import STATES, Check
from catalog_builder.report.labelled import Labelled
from catalog_builder.report.summary import Summary
from catalog_builder.report.words import regime
from catalog_builder.verdict import labels, population, rows
from catalog_builder.verdict.facts import NO_LABELS, VerdictFacts
from catalog_builder.verdict.judging import Question, judge


def verdict(
    summary: Summary,
    labelled: Labelled | None,
    record: Mapping[str, Any],
    facts: VerdictFacts,
) -> tuple[Check, ...]:
    """Judge a catalogue by the sums of its rows.

    Parameters
    ----------
    summary : Summary
        Of all rows.
    labelled : Labelled, optional
        Of those with labels.
    record : mapping
        The facts of ``RELEASE.json`` that are known: ``accounting``, ``metrics``; ``incidents`` and
        ``drift`` where there are any.
    facts : VerdictFacts
        What else the run tells.

    Returns
    -------
    tuple of Check
        Those that fail first, then those that warn, those that were not tested, and the others.
    """
    settings = facts.settings
    why_not = "" if labelled is not None else NO_LABELS
    questions = [
        *labels.questions(
            labelled, record.get("metrics") or {}, settings, why_not=why_not, folds=facts.folds
        ),
        *rows.questions(summary, facts.ingested, settings),
        *population.questions(facts, summary.schema),
    ]
    asked = sum(bool(question.numbers) for question in questions)
    rate = settings.false_fail_rate / max(1, asked)
    found = [
        _accounting(summary, record),
        *(judge(_in_words(question, summary), rate) for question in questions),
        _drift(record),
    ]
    return tuple(sorted(found, key=lambda one: STATES.index(one.state)))


def _in_words(question: Question, summary: Summary) -> Question:
    """Return it with what its numbers are of as people say it: "[Fe/H], without RVS, G < 11"."""
    numbers = [replace(one, said=one.said or _said(one.about, summary)) for one in question.numbers]
    return replace(question, numbers=numbers)


def _said(about: str, summary: Summary) -> str:
    label = about.partition(",")[0].partition(" ")[0]
    if label in summary.shown:
        about = summary.shown[label].printed + about.removeprefix(label)
    return regime(about, summary.schema.inputs).replace(" -", " −")


def _accounting(summary: Summary, record: Mapping[str, Any]) -> Check:
    books = record["accounting"]
    rejected = sum(books["rejected"].values())
    missing = books["requested"] - books["published"] - rejected
    unseen = books["published"] - summary.rows
    said = f"{books['requested']} requested = {books['published']} published + {rejected} rejected"
    gaps = list(_gaps(record))
    if missing or unseen:
        words = f"{said} leaves {missing} out, and {summary.rows} rows were summed up."
        state = "fail"
    elif gaps:
        words, state = f"{said}; {'; '.join(gaps)}.", "warn"
    else:
        words, state = f"{said}.", "pass"
    return Check.model_validate(
        {
            "name": "accounting",
            "title": "Accounting closes",
            "state": state,
            "words": words,
            "number": float(missing + unseen),
            "expected": 0.0,
            "low": 0.0,
            "high": 0.0,
            "stars": summary.rows,
            "tests": 2,
            "figure": "accounting",
        }
    )


def _gaps(record: Mapping[str, Any]) -> Iterator[str]:
    incidents = record.get("incidents") or {}
    if lost := len(incidents.get("partitions") or {}):
        yield f"{lost} partitions could not be used"
    if counts := incidents.get("counts"):
        yield f"in {len(counts)} partitions sources could not all be counted"


def _drift(record: Mapping[str, Any]) -> Check:
    known = {"name": "drift", "title": "Drift from the version before"}
    found = record.get("drift")
    if not found:
        words = "no older catalogue to compare with was named (setting publish.drift_from)."
        return Check.model_validate({**known, "state": "not tested", "words": words})
    drifts = str(found["verdict"]).startswith("Drift")
    return Check.model_validate(
        {**known, "state": "fail" if drifts else "pass", "words": found["verdict"]}
    )
