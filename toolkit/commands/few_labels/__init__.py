"""Few labels: several training methods, compared by cross-validation."""
