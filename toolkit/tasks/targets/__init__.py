"""Kinds of targets, a file each."""
