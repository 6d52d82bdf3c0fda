"""Formats of bags: each module adds its checks to `register.FORMATS`, by the ids of docs/sources.md."""
