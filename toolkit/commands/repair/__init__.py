"""Doubts about the training rows of a run, decisions on them, and the gain of the corrections."""
