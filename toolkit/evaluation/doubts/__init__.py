"""Doubts about training rows: labels that a model contradicts, near-duplicates with other labels, outliers."""
