"""The inference from speech to landmarks behind HTTP: python -m rushes.engine --checkpoint FILE."""
