"""What a served token server stands: load, kills, faults and hostile input, each counted."""
