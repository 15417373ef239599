"""Predictions to figures with their doubt."""
