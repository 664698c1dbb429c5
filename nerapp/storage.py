"""Static files under hashed names, so that browsers may keep them for ever."""

from __future__ import annotations

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedStaticFiles(CompressedManifestStaticFilesStorage):
    """Hash also what ES modules import: `import './state.js'` is rewritten to the hashed name."""

    support_js_module_import_aggregation = True
