"""Hostile input: forged tokens, and requests that mean harm."""
