"""tau2 through the guard: retail and telecom, their own tasks, each write once, in each other's way, and twice.

``domains`` plays the tasks' own calls, ``truth`` takes a world apart without the product, ``places`` says where a world keeps its
objects. ``trial`` carries a play through the guard and through recovery, ``score`` and ``report`` say how far off the product is.
"""

from loguru import logger

logger.disable("tau2")  # it tells of every call, and of a file with keys for models that nobody needs here
