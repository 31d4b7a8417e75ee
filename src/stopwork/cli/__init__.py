"""The command line: a client of the REST API, and the few things that are done on the machine itself."""
