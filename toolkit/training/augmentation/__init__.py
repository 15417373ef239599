"""Images changed at random during training."""
