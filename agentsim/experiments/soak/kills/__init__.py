"""Kills: what a server that was ended amid its work has kept."""
