"""Measurements: outreach beside the raw loop it cannot beat and a plain rival, all in one run. Figures, never tests."""
