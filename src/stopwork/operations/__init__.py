"""Every change of state: one function is one transaction."""
