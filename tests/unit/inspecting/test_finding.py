"""What one look can say of another."""

from catalog_builder.inspecting.finding import Looked


def test_a_look_judges_another_only_if_it_had_enough_of_everything():
    together = Looked(judged={("grid", "triplet"), ("normalisation", "constant")})
    alone = Looked(judged={("normalisation", "constant")})
    assert alone.judges("normalisation", together)
    # With too few spectra for the triplet its silence is no contradiction.
    assert not alone.judges("grid", together)
    assert together.judges("grid", alone)
