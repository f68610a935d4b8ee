"""Synthetic spectra at any labels."""
