"""One engine that compares two tables of stars, and its fronts: `drift` and `diff`."""
