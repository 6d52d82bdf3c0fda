"""Rushes: what a user's own code imports to read what the workflow made."""
