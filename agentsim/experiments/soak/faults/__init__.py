"""Faults: what a server is run on fails, and is mended."""
