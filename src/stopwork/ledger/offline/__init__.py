"""What a third party needs to verify evidence: the Python standard library (3.9 or newer) and these modules.

Nothing in here imports anything of Stopwork but its neighbours, because all of it travels inside every bundle as one
file, ``verify.py``, that runs alone. The rest of Stopwork verifies with the same lines, so there is one
implementation to trust.
"""

from __future__ import annotations

import ast
from functools import cache
from importlib import resources

PARTS = (
    "broken",
    "bag",
    "inclusion",
    "ed25519",
    "signed",
    "container",
    "redaction",
    "elsewhere",
    "report",
    "checks",
)


@cache
def standalone() -> str:
    """Answer the source of ``verify.py`` as it travels: the verifier and the modules it rests on, in one file."""
    folder = resources.files("stopwork.ledger")
    command = (folder / "verify.py").read_text(encoding="utf-8")
    parts = [(folder / "offline" / f"{name}.py").read_text(encoding="utf-8") for name in PARTS]
    introduction = ast.get_docstring(ast.parse(command), clean=False)
    bodies = [_without_own_imports(source) for source in (*parts, command)]
    head = (
        f'# SPDX-License-Identifier: Apache-2.0\n"""{introduction}"""\n\nfrom __future__ import annotations\n'
    )
    return "\n\n".join([head, *bodies])


def _without_own_imports(source: str) -> str:
    """Answer a module without what one file cannot have: imports of its neighbours and of the future."""
    lines = source.splitlines()
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("stopwork.", "__future__")):
            lines[node.lineno - 1 : node.end_lineno] = [""] * (
                (node.end_lineno or node.lineno) - node.lineno + 1
            )
    return "\n".join(lines).strip() + "\n"
