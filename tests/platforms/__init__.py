"""Everywhere the example project must build and run: the cells, how each is tried, and what came of it."""
