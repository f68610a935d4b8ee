"""What the program is called, and which version it is."""

__version__ = "0.1.0"
#: What `pip install` knows this package by: `catalog-builder` is somebody else's there.
DISTRIBUTION = "gaia-catalog-builder"
