"""How objects are seen and put back."""
