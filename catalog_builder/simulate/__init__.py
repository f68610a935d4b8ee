"""A sky of known truth, written in the archive's own formats."""
