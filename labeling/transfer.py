"""What imports and exports agree on."""

from __future__ import annotations

#: What a file said of a text beside its spans (comments, where it came from) is kept under this key of the
#: document's metadata, and written out again by an export.
KEPT = "import"
