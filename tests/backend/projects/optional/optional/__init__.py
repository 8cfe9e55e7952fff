"""Goes without its extension where that does not compile."""
