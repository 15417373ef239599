"""A limit on time: what is measured, left out and chosen so that a run keeps it."""
