"""Model inputs in memory and on disk, and which of them share a batch."""
