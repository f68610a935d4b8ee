"""From archive rows to the features that a model sees: pure functions, one partition's ingest."""
