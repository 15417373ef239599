"""`watch`: compare batches of new rows with a run's held-out rows, and keep the course over the batches."""
