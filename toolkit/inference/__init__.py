"""A checkpoint on disk, loaded, and its predictions."""
