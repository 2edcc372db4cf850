"""The operations, one file per section. Importing this package imports all its files, which attach their definitions to Tensor
and the public names: there is no list of files."""

import importlib
import pkgutil

from mini_dl._surface import show_methods as _show_methods

for _file in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_file.name}")

_show_methods()
