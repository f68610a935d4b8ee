"""What a draft says of lines that are the older release's: its own words, and what to check."""

import re

import pytest

from catalog_builder.archive.release import load_release
from catalog_builder.inspecting.inspect import inspect_archive
from catalog_builder.inspecting.older_remarks import read_remarks
from tests.unit.inspecting.conftest import described
from tests.unit.inspecting.made import make_archive

SAID = """# A head [check] that is no line's.

name: x            # [known]
title: 'a # [no] remark'   # no mark
# [check] first line
# second line
text:              # [inferred] as others
  deep: {a: 1,     # [check] of a
         b: "#"}   # [known] of b
# not marked
plain: 1	# [check] behind a tab
long: >-           # [check] of words
  words # [check] of the text
  more
items:
  - one: 1         # [check] in a list
"""


def line_of(draft, key):
    return next(line for line in draft.splitlines() if line.strip().startswith(f"{key}:"))


def test_marked_comments_are_told_by_their_keys():
    found = read_remarks(SAID)
    assert found.behind == {
        ("name",): "[known]",
        ("text",): "[inferred] as others",
        ("text", "deep"): "[check] of a",
        ("text", "deep", "b"): "[known] of b",
        ("plain",): "[check] behind a tab",
        ("long",): "[check] of words",
        ("items", 0, "one"): "[check] in a list",
    }
    assert found.above == {("text",): ["[check] first line", "second line"]}


@pytest.mark.parametrize("text", ["", "a: [", "- 1", "\t"])
def test_what_is_no_description_has_none(text):
    assert read_remarks(text) == read_remarks("")


def test_a_draft_keeps_the_words_of_lines_that_it_takes_over(tmp_path):
    archive = make_archive(tmp_path / "archive")
    draft = inspect_archive(str(archive), load_release("dr4")).draft
    assert "Words in brackets behind `dr4` are that description's own." in draft
    words = "# dr4 [inferred] samples interpolated from detector pixels"
    assert words in line_of(draft, "correlation_length")
    # And lines of comments above a key that is taken over.
    assert re.search(r"\n    # \[check\] 250 022 127 .*\n    least_sig_to_noise: 15", draft)
    # What was seen is no guess any more.
    for line in draft.splitlines():
        assert not re.search(r"# found.*\[(check|inferred)\]", line)
    assert "[" not in line_of(draft, "grid").partition("#")[2]


def test_rules_of_a_release_that_an_archive_is_not_wholly_like_are_to_be_checked(tmp_path):
    archive = make_archive(tmp_path / "archive", {"flux": "norm_flux"})
    found = inspect_archive(str(archive), load_release("dr3"))
    for key, why in {
        "normalisation": "how these spectra were normalised",
        "low_sig_to_noise": "the limit is of the older release's spectra",
        "reddening_free": "whether the law of extinction is that of these bands",
        "acknowledgement": "whom this archive asks to thank and to cite",
    }.items():
        assert line_of(found.draft, key).endswith(f"# dr3; to be checked: {why}")
    (head,) = (line for line in found.draft.splitlines() if line.startswith("# RULES OF dr3"))
    assert "rvs_mean_spectrum.flux" in head
    assert "spectra.rvs.normalisation" in head
    assert head.removeprefix("# ") in found.text
    # What was found is not the older release's.
    assert "to be checked" not in line_of(found.draft, "formats")


def test_no_rule_that_a_draft_carries_is_left_out(tmp_path):
    """Each key of a rule that the descriptions of the program have is marked."""
    archive = make_archive(tmp_path / "archive", {"flux": "norm_flux"})

    def more(content):
        content["spectra"]["rvs"] |= {
            "least_sig_to_noise": 5.0,
            "steps": [{"step": "mask", "ranges": [[850.0, 851.0]]}],
        }

    draft = inspect_archive(str(archive), described(tmp_path, more)).draft
    for key in ("least_sig_to_noise", "steps", "resolution", "correlation_length"):
        assert "to be checked: " in line_of(draft, key), key


def test_what_stands_in_place_of_a_rule_is_not_called_the_older_release_s(tmp_path):
    archive = make_archive(tmp_path / "archive")
    draft = inspect_archive(str(archive), load_release("dr3")).draft
    rule = draft.partition("\nparallax_zero_point:")[2].splitlines()[1]
    assert re.fullmatch(r"  rule: none +# to be checked", rule)


def test_the_release_itself_has_its_rules(sky):
    found = inspect_archive(str(sky), load_release("dr3"))
    assert "RULES OF" not in found.draft + found.text
    assert line_of(found.draft, "low_sig_to_noise").endswith("# dr3")
