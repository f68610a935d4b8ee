"""Simulated stars in an archive's own tables and formats."""
