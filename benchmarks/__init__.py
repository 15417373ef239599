"""Measurements of the toolkit beside its peers; each module says how it is run."""
