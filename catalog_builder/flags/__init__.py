"""Selection flags: one bit mask per star, one predicate per bit."""
