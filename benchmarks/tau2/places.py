"""Where the worlds keep their objects: all that a system of Stopwork has to be told about them.

Nothing here knows a task.
"""

from __future__ import annotations

from typing import Final

from benchmarks.worlds.places import Places, Shelf, Single

RETAIL: Final[Places] = {
    "product": Shelf("tools.db.products", "product_id"),
    "user": Shelf("tools.db.users", "user_id"),
    "order": Shelf("tools.db.orders", "order_id"),
}
TELECOM: Final[Places] = {
    "plan": Shelf("tools.db.plans", "plan_id"),
    "customer": Shelf("tools.db.customers", "customer_id"),
    "line": Shelf("tools.db.lines", "line_id"),
    "bill": Shelf("tools.db.bills", "bill_id"),
    "device": Shelf("tools.db.devices", "device_id"),
    "phone": Single("user_tools.db.device"),
    "surroundings": Single("user_tools.db.surroundings"),
}
PLACES: Final[dict[str, Places]] = {"retail": RETAIL, "telecom": TELECOM}
