"""Intervals, significance, spread over seeds."""
