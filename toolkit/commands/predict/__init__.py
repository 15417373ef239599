"""`predict`: a saved model on the rows of a file, or on inputs that were typed."""
