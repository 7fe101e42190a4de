"""Load: mixed traffic for as long as is asked for, and what grows meanwhile."""
