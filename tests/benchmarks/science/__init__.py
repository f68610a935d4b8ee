"""Science benchmarks: how good the labels are, measured where the truth is known."""
