"""Changes to inputs that a prediction should survive, or follow."""
