"""Measurements of the toolkit and other programs; each module's docstring has its command."""
