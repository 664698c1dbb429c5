"""The JSON behind the pages of reviewing: a signed-in person and one project."""
