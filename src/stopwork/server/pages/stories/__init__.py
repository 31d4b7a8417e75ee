"""Invented records and the pages that show them: every state of the console without a database."""
