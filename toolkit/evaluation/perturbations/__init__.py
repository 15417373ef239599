"""Changes to inputs under which a prediction should stay the same, or change."""
