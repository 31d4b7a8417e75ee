"""Anchors: places outside this server's reach that keep the log's checkpoints. One kind of place per module."""
