"""Attention functions that are registered with transformers' attention interface: packed, padded and sparse."""
