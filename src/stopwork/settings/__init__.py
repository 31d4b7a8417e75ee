"""The files that the operator of a server writes: systems, anchors, hooks and ways in."""
