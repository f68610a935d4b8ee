"""Clusters: one protocol, one list of kinds (`registry`), one file for each kind."""
