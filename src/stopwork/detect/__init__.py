"""One pure detector per file: journal entries in, signals out."""
