"""Names of torch's compiled module that programs use."""

from mini_dl.overrides import DisableTorchFunctionSubclass
from mini_dl.tensor import disabled_torch_function as _disabled_torch_function_impl

__all__ = ["DisableTorchFunctionSubclass", "_disabled_torch_function_impl"]
