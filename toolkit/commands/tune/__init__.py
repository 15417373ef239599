"""`tune`: hyperparameter search."""
