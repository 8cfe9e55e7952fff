"""A package whose program comes from a pinned source."""
