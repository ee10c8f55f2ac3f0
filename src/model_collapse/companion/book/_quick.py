"""Imported before nbformat: jsonschema, on which it builds, would compile a grammar of web addresses for a second.

No notebook needs that grammar, and jsonschema goes without where it is not installed.
"""

import sys

sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
