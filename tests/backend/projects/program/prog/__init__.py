"""A package with a program inside."""
