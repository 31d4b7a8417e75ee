"""What may happen: holds, stages, gates and the verdict on a call. Pure."""
