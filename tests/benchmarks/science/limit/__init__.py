"""The information limit: exact posteriors of test stars under the simulation's own rules."""
