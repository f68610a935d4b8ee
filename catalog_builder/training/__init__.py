"""The training set: labels joined to features by source id, split by star, scaled."""
