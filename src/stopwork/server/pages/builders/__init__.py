"""From records to context records: one builder for each page, all reading one snapshot."""
