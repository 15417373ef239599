"""A time budget: measurements, reductions and choices that keep a run within it."""
