"""The guard in front of an MCP server."""
