"""A month in which nothing goes wrong, in a company with five agents: what it still raises alarms about; and the same month with eleven incidents."""
