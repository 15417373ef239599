"""File formats as Arrow tables."""
