"""Attention: its mathematics, what it computes inside real models, and variants of it that models can use."""
