"""Claims of a report: one error for all of them, and what is tested."""
