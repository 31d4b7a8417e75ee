"""What may happen: holds, stages, gates, the verdict on a call, and the machine that carries one call through. Pure."""
