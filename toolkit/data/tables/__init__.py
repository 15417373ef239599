"""Columns, labels and parts of a table."""
