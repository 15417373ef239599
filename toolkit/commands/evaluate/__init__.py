"""`evaluate`: predictions of a saved model on some rows, the checks, and the report."""
