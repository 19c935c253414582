"""How likely is SGD to leave a minimum, when, and where does it go?

The public names are those of the stub beside this file, `__init__.pyi`. They load when they are first used (SPEC 1), so
that the command line answers before JAX is imported.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
