"""Manifests: what a workflow declares about itself, read, checked, compiled and compared."""
