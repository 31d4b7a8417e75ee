"""The demo world: a small CRM, an agent that goes wrong in it, and the processes that run both."""
