"""Fine-tune pretrained transformers and get a report you can believe."""

__version__ = "0.1.0"
