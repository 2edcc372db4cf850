"""The operations, a file per section. Importing this package imports every file of it, which attaches what it defines to Tensor
and to the public names: nothing lists the files."""

import importlib
import pkgutil

for _file in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_file.name}")
