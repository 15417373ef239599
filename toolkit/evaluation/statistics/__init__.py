"""Intervals, clusters of rows, significance, calibration errors, temperatures, rankings, spread over seeds."""
