"""Commands that examine a trained model."""
