"""The pages of reviewing."""
