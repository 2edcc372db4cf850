"""The operations, one file per section. Importing this package imports all its files, which attach what they define to Tensor
and to the public names: nothing lists the files."""

import importlib
import pkgutil

from mini_dl._surface import show_methods as _show_methods

for _file in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_file.name}")

_show_methods()
