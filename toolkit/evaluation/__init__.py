"""Metrics with intervals, and checks, from predictions."""
