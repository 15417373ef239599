"""Differences between the held-out rows of a run and new rows, with and without labels."""
