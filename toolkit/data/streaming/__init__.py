"""Training rows that are read from the disk while training runs."""
