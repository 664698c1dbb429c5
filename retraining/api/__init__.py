"""What machines may ask about how a project learns."""
