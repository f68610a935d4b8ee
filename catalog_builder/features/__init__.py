"""From archive rows to the features that a model sees: pure functions, and one partition's ingest."""
