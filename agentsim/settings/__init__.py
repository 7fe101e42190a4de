"""What people write in YAML files: read strictly, with all faults at once, each with its path."""
