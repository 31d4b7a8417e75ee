"""AgentDojo through the guard: what the audit finds and what recovery puts back, held against the true changes.

``truth`` takes an environment apart without the product, ``places`` says where it keeps its objects. ``scripts`` are the agents,
``trial`` carries one of them through the guard and through recovery, ``score`` and ``report`` say how far off the product is.
"""
