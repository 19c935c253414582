"""What a room exports: the names that its `__init__` imports, without a second list of them."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any


def names_in(namespace: Mapping[str, Any]) -> list[str]:
    """The names for `__all__`, which `help` and `import *` go by: those without an underscore that are no modules."""
    return [name for name, each in namespace.items() if not name.startswith("_") and not isinstance(each, ModuleType)]
