"""Background duties, each of which says when it last succeeded."""
