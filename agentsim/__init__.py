"""A workbench for OAuth at the scale of AI agents: token server, simulator, lineage, risk, reports."""
