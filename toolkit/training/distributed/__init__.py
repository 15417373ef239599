"""Devices, data parallelism and sharding."""
