"""Models compared on the same rows: paired tests, and reports before and after."""
