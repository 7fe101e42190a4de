"""The invariants, one module per kind of evidence; :mod:`agentsim.lineage.invariants` runs them all."""
