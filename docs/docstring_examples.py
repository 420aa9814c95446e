"""For the site: docstrings here have a section `Example`, and griffe knows it as `Examples`."""

import re
from typing import Any

from griffe import Extension


class Examples(Extension):
    """Renames the section before griffe reads the docstring, so that doctests are shown as code."""

    def on_object(self, *, obj: Any, **kwargs: Any) -> None:
        """Called for each class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"^( *)Example:$", r"\1Examples:", obj.docstring.value, flags=re.M)
