"""Measurements, each with the conditions under which it was made."""
