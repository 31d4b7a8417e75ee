"""Hooks: what this server does, by its operator's order, to make safe what an incident touched. One kind of doing per module."""
