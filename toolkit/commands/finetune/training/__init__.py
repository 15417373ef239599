"""Training of a prepared run: model and inputs, the probe before it, validation during it."""
