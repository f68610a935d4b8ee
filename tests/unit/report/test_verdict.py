"""The verdict on top of the page, and what is told of few stars."""

import re

from catalog_builder.catalog.check_record import Check
from catalog_builder.labels.agreed import default_contract
from catalog_builder.report.html import covered
from catalog_builder.report.measures import metrics
from catalog_builder.report.quantities import Quantities
from catalog_builder.report.verdict import head, section
from tests.unit.report.test_page import Page


def check(state, **more):
    return Check(name=state, title=f"The {state}", state=state, words="It is <so>.", **more)


def record(*checks):
    return {"checks": [one.model_dump() for one in checks]}


def test_what_is_wrong_is_told_first_and_linked_to_its_figure():
    page = head(record(check("fail", figure="sky"), check("warn"), check("pass")))
    assert 'class="verdict fail"' in page
    assert '<a href="#sky">The fail</a>' in page
    assert "Of 3 checks <b>1</b> failed, <b>1</b> warn, <b>1</b> passed." in page
    assert "The pass" not in page
    assert "&lt;so&gt;" in page


def test_all_is_well_in_one_line_and_what_was_not_tested_has_its_reason():
    page = Page(head(record(check("pass"), check("not tested"))))
    assert "As it should be." in page.text
    assert "Not tested: The not tested: It is <so>." in page.text
    assert head({}) == ""


def test_a_warning_says_what_to_do():
    warned = check("warn", figure="accuracy-along").model_copy(update={"name": "bias_along"})
    page = head(record(warned))
    assert "What to do: leave stars with these values out" in page
    assert '<a href="#accuracy-along">' in page
    rows = {"name": "bias_along", "state": "pass"}
    assert "What to do" not in section(record(warned.model_copy(update=rows)))


def test_every_check_has_a_row():
    states = ("fail", "warn", "not tested", "pass")
    rows = Page(section(record(*map(check, states)))).rows
    assert [row[0][2:] for row in rows[1:]] == list(states)


def test_a_regime_of_one_star_is_pooled_and_not_printed(schema):
    def of(stars, within):
        return {"teff": {
            "stars": stars, "robust_scatter": 50.0, "bias": 0.0, "rmse": 60.0,
            "coverage_68": within, "coverage_95": 0.95,
        }}  # fmt: skip

    measured = {"all": of(189, 0.608), "by_regime": {"bright": of(1, 0.0), "faint": of(150, 0.68)}}
    measured["by_regime"] |= {"fainter": of(12, 0.5), "faintest": of(12, 1.0)}
    page = metrics({"metrics": {"as_observed": measured}}, schema, Quantities(default_contract()))
    text = Page(page).text
    assert re.search(r"60\.8\s%\s▾", text)  # what chance makes of honest sigma in 3 of 100 cases
    assert not re.search(r"\b0\.0\s%", text)
    assert "3 regimes of fewer than 20 stars, together" in text
    assert re.search(r"72\.0\s%", text)  # 18 of 25 stars


def test_an_arrow_is_there_where_chance_is_not_enough():
    assert covered(0.68, 1000, 0.6827).markup.endswith("%")
    assert "▾" in covered(0.5, 1000, 0.6827).markup
    assert "▴" in covered(0.8, 1000, 0.6827).markup
    assert covered(0.5, 8, 0.6827).markup.endswith("%")
