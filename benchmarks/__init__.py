"""Measurements: how fast the hot paths are here, and how Stopwork does in environments that nobody here wrote."""
