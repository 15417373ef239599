"""Few labels: several ways of training, compared by cross-validation."""
