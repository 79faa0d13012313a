"""Where databases differ: tables, statements, the thread they run in, migrations."""
