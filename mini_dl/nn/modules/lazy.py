"""Modules that take their sizes from the first input."""

from __future__ import annotations

from typing import Any, ClassVar

from mini_dl.nn._types import Args, Device, DType, Kwargs, StateDict
from mini_dl.nn.modules.module import Module
from mini_dl.nn.parameter import UninitializedParameter, is_lazy
from mini_dl.tensor import Tensor


class LazyModuleMixin(Module):
    """A base listed before the module class: parameters get shapes at the first forward, then it becomes `cls_to_become`.

    Subclasses define ``initialize_parameters(*inputs)``.
    """

    cls_to_become: type[Module] | None = None

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._load_hook = self._register_load_state_dict_pre_hook(self._lazy_load_hook)
        self._initialize_hook = self.register_forward_pre_hook(self._infer_parameters, with_kwargs=True)

    def _lazy_load_hook(self, state_dict: StateDict, prefix: str, *_: object) -> None:
        """Take the shapes from the state about to be loaded."""
        for name, tensor in (*self._parameters.items(), *self._buffers.items()):
            source: Tensor | None = state_dict.get(prefix + name)
            if is_lazy(tensor) and source is not None and not is_lazy(source):
                tensor.materialize(source.shape)  # type: ignore[union-attr]

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(f"initialize_parameters is not implemented for {type(self).__name__}")

    def has_uninitialized_params(self) -> bool:
        """Whether a parameter or buffer of this module has no shape yet."""
        return any([is_lazy(t) for t in (*self._parameters.values(), *self._buffers.values())])

    def _infer_parameters(self, module: LazyModuleMixin, args: Args, kwargs: Kwargs | None = None) -> None:
        module.initialize_parameters(*args, **(kwargs or {}))
        if module.has_uninitialized_params():
            raise RuntimeError(f"module {self._get_name()} has not been fully initialized")
        module._initialize_hook.remove()
        module._load_hook.remove()
        del module._initialize_hook
        del module._load_hook
        if module.cls_to_become is not None:
            module.__class__ = module.cls_to_become  # type: ignore[assignment]


class LazyLayer(LazyModuleMixin):
    """A lazy module with a weight and a bias; `_inferred` names the size that the first input determines."""

    _inferred: ClassVar[str]

    def _make_lazy(self, weight: bool, bias: bool, device: Device, dtype: DType) -> None:
        """Replace the requested parameters by ones without a shape."""
        for name, wanted in (("weight", weight), ("bias", bias)):
            if wanted:
                setattr(self, name, UninitializedParameter(device=device, dtype=dtype))

    def reset_parameters(self) -> None:
        if not self.has_uninitialized_params() and getattr(self, self._inferred) != 0:
            super().reset_parameters()  # type: ignore[misc]
