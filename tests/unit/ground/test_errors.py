"""What a person reads stays readable, whatever a file holds that it quotes."""

from __future__ import annotations

import pytest

from catalog_builder.ground.errors import ConfigError, InputError
from catalog_builder.run.config import load_config


def test_a_problem_that_quotes_a_huge_value_is_cut():
    error = InputError("x" * 10_000_000, "Fetch it again.")
    assert len(str(error)) < 5_000
    assert str(error).endswith("... Fetch it again.")


def test_a_huge_wrong_setting_is_not_printed_whole(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text(f"seed: {'x' * 1_000_000!r}")
    with pytest.raises(ConfigError, match="seed") as caught:
        load_config(file, (), {})
    assert len(str(caught.value)) < 5_000
