"""The published catalogue: its stores, exports, seal and validation."""
