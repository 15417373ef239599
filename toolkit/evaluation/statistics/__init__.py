"""Intervals, significance, calibration errors and temperatures, rankings of queries, spread over seeds."""
