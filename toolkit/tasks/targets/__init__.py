"""Kinds of what a model predicts, a file each."""
