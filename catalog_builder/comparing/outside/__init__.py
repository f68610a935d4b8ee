"""A catalogue beside a table that others made; the third front of the comparison, `compare`."""
