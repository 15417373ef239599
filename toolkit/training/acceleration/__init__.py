"""What makes a step cheaper without changing what it computes."""
