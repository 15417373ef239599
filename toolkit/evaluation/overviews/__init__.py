"""Further keys of the evaluation in a report, for each kind of target."""
