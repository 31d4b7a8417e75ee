"""Prompt injection on AgentDojo: what is found at which score, what a gate keeps from happening, and how often it asks in vain.

``templates`` are ways of asking that were written after the weights were settled, and for this alone. ``weighed`` lets agents make their calls
and has each one weighed as a permit would be; ``gated`` carries them through the guard with the gate on. ``report`` makes the tables.
"""
