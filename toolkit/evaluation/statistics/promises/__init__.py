"""Promises about single predictions that hold in finite samples."""
