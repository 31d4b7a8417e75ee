"""The HTTP face: API, live stream, console."""
