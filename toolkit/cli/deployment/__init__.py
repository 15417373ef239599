"""Commands that use, convert or publish a trained model."""
