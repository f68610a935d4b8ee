"""A sealed catalogue, or a part of it, written in a format on request: VOTable, CDS, CSV, Parquet.

What lies in a catalogue beside its store is made by `catalog_builder.catalog.exports` when it is
published, and sealed. What is made here is somebody's own copy: rows and columns of choice, as a
stream, outside of the catalogue's folder.
"""
