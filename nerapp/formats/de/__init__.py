"""How numbers and times read in pages: exact, sortable, the same everywhere."""
