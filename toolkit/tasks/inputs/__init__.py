"""Kinds of input, a file each."""
