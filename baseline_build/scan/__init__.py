"""Findings, guard analysis, verdicts, waivers; file, wheel, folder, installed distribution."""
