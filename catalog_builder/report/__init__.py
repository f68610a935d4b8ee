"""The report of a catalogue: one HTML page with its figures, made from its zarr store."""
