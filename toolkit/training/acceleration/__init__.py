"""Optimizations of a step that do not change its result."""
