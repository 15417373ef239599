"""Interactions: who used what and when, as histories that are divided by time."""
