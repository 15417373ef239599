"""Sections of the report as blocks."""
