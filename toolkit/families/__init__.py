"""Families of models with parts of their own: loading, inputs, and a small model from scratch."""
