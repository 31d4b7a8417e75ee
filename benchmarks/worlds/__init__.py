"""What every environment that nobody here wrote is measured with: truth, system adapter, guard, people, and score.

``truth`` and ``score`` say what really happened and how far off the product's answer is; they import nothing of Stopwork.
``places`` is the adapter that a user would write for such an environment, ``ground`` what the guard is told, ``response``
what people do once an agent has gone wrong.
"""
