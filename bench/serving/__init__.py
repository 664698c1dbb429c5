"""How fast predictions are served, beside what the same server can do at all."""
