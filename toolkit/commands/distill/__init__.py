"""Smaller models that imitate the model of a run."""
