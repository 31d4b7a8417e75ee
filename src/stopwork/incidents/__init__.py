"""One pure module per phase of an incident: records in, facts and proposals out."""
