"""Ground floor: errors, ids, clock, canonical bytes. Nothing here knows the product."""
