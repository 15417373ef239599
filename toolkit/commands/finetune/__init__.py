"""`finetune`: settle, set up, fit, validate, resume."""
