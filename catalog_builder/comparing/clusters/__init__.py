"""Labels within star clusters, whose stars should agree; the fourth front, `clusters`."""
