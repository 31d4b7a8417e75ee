"""AgentDojo through the guard: what the audit finds and what recovery puts back, held against the true changes.

``truth`` and ``score`` say what really happened and how far off the product's answer is; they import nothing of Stopwork.
``places`` is the adapter that a user would write for such an environment. ``scripts`` are the agents, ``trial`` carries one of
them through the guard and through recovery, ``report`` writes the tables.
"""
