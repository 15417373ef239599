"""`predict`: a saved model on the rows of a file, or on inputs of the command line."""
