"""The audit trail from outside: of a served database or of a Run, verified, exported, and cut off where it is old."""
