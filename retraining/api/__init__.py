"""What machines may ask about how a project learns, and how its models come to callers."""
