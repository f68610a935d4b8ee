"""The reader of FITS tables."""
