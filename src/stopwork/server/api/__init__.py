"""The REST API: tables of endpoints, and what turns them into routes and a description."""
