"""Sections that one kind of target has."""
