"""Read, clean, split and batch tables."""
