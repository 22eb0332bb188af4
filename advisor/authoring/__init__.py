"""Tools for those who write rules: a scaffold, the pages that show what the rules say, and the schema that editors complete from."""
