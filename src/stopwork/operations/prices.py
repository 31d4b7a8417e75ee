"""What a model call cost, as far as anyone publishes it."""

from __future__ import annotations

from datetime import datetime
from typing import Any


def price_usd(model: str, facts: dict[str, Any], tokens: int, *, at: datetime) -> float | None:
    """Answer the price in US dollars, or ``None`` when it is not known: unknown is never zero.

    ``facts`` may split ``tokens`` into ``input_tokens`` and ``output_tokens``; without the split all count as input.
    Source: the price table of genai-prices.
    """
    # Imported here: reading the price table takes a third of a second, and most processes never price anything.
    from genai_prices import Usage, calc_price

    output = facts.get("output_tokens")
    output = output if isinstance(output, int) else 0
    try:
        priced = calc_price(
            Usage(input_tokens=max(tokens - output, 0), output_tokens=output),
            model_ref=model,
            genai_request_timestamp=at,
        )
    except LookupError:
        return None
    return float(priced.total_price)
