"""A package of hatchling."""
