"""The console: one context record, one template and one builder for each page."""
