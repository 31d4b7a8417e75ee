"""A small CRM with its own HTTP API and database: accounts, tasks, and who changed what.

It stands for any system that an agent works in, so it knows nothing of Stopwork. Run it with
``python -m stopwork.demo.crm``.
"""
