"""What every function of the API does with its call: its arguments, its data in memory, its progress."""
