"""Batch producer of versioned value-added catalogues from survey spectra, on Dask."""

__version__ = "0.1.0"
