"""Tables, migrations, the single writer and its journal."""
