"""Catalogue rows become a catalogue: assembled, exported, verified, sealed."""
