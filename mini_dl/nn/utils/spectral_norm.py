"""Spectral normalization by a hook: a weight divided by its largest singular value (Miyato et al. 2018)."""

from __future__ import annotations

from typing import TypeVar

from mini_dl.autograd.mode import no_grad
from mini_dl.nn._types import StateDict
from mini_dl.nn.modules.conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from mini_dl.nn.modules.module import Module
from mini_dl.nn.parameter import Parameter, is_lazy
from mini_dl.ops.normalization import normalize
from mini_dl.tensor import Tensor

_M = TypeVar("_M", bound=Module)


def as_matrix(weight: Tensor, dim: int) -> Tensor:
    """`weight` as (size of `dim`, all the rest)."""
    rest = weight.movedim(dim, 0)
    return rest.reshape(len(rest), -1)


def output_dim(module: Module, dim: int | None) -> int:
    """The output dimension of the weight of `module`."""
    if dim is not None:
        return dim
    return 1 if isinstance(module, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)) else 0


def unit(vector: Tensor, eps: float) -> Tensor:
    """``vector / max(|vector|, eps)``"""
    return normalize(vector, dim=0, eps=eps)


class SpectralNorm:
    """The hook that computes ``weight = orig / (u' orig v)`` before each forward, and improves u and v while training."""

    _version: int = 1

    def __init__(self, name: str = "weight", n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        if n_power_iterations <= 0:
            raise ValueError(f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}")
        self.name, self.n_power_iterations, self.dim, self.eps = name, n_power_iterations, dim, eps

    def reshape_weight_to_matrix(self, weight: Tensor) -> Tensor:
        return as_matrix(weight, self.dim)

    def compute_weight(self, module: Module, do_power_iteration: bool) -> Tensor:
        weight, left, right = [getattr(module, self.name + suffix) for suffix in ("_orig", "_u", "_v")]
        matrix = self.reshape_weight_to_matrix(weight)
        if do_power_iteration:
            with no_grad():
                for _ in range(self.n_power_iterations):
                    right.copy_(unit(matrix.t().mv(left), self.eps))
                    left.copy_(unit(matrix.mv(right), self.eps))
                left, right = left.clone(), right.clone()  # the next call overwrites them
        return weight / left.dot(matrix.mv(right))

    def __call__(self, module: Module, inputs: object) -> None:
        setattr(module, self.name, self.compute_weight(module, do_power_iteration=module.training))

    def remove(self, module: Module) -> None:
        with no_grad():
            weight = self.compute_weight(module, do_power_iteration=False)
        for suffix in ("", "_u", "_v", "_orig"):
            delattr(module, self.name + suffix)
        module.register_parameter(self.name, Parameter(weight.detach()))


class SpectralNormStateDictHook:
    """Records the version of the format in the metadata."""

    def __init__(self, fn: SpectralNorm) -> None:
        self.fn = fn

    def __call__(self, module: Module, state_dict: StateDict, prefix: str, local_metadata: StateDict) -> None:
        versions, key = local_metadata.setdefault("spectral_norm", {}), self.fn.name + ".version"
        if key in versions:
            raise RuntimeError(f"Unexpected key in metadata['spectral_norm']: {key}")
        versions[key] = self.fn._version


class SpectralNormLoadStateDictPreHook:
    """Computes v from the values saved by the first version of the format: the original, the weight and u."""

    def __init__(self, fn: SpectralNorm) -> None:
        self.fn = fn

    def __call__(
        self, state_dict: StateDict, prefix: str, local_metadata: StateDict, strict: bool, missing_keys: list[str], *_: object
    ) -> None:
        version = local_metadata.get("spectral_norm", {}).get(self.fn.name + ".version", None)
        if version is not None and version >= 1:
            return
        key = prefix + self.fn.name
        if version is None and key not in state_dict and all([key + suffix in state_dict for suffix in ("_orig", "_u", "_v")]):
            return
        missing = [key + suffix for suffix in ("_orig", "", "_u") if key + suffix not in state_dict]
        if missing:
            if strict:
                missing_keys.extend(missing)
            return
        with no_grad():
            original, left = state_dict[key + "_orig"], state_dict[key + "_u"]
            sigma = (original / state_dict.pop(key)).mean()
            matrix = self.fn.reshape_weight_to_matrix(original)
            right = (matrix.t() @ matrix).pinverse() @ (matrix.t() @ left)
            state_dict[key + "_v"] = right * (sigma / left.dot(matrix.mv(right)))


def spectral_norm(
    module: _M, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> _M:
    """``weight = weight_orig / sigma`` with the largest singular value ``sigma = u @ W @ v``, computed before each forward.
    Returns `module`.

    `u` and `v` come from `n_power_iterations` steps ``v = W.T @ u / norm(W.T @ u)``, ``u = W @ v / norm(W @ v)`` at each forward
    in training.

    Shapes: a parameter of any shape, viewed as a matrix W with `dim` first.
    Raises: RuntimeError if it is already normalized; KeyError for an unknown parameter; ValueError unless the steps are
    positive.
    Source: Miyato et al., Spectral normalization for generative adversarial networks, 2018, section 2.1.

    >>> layer = torch.nn.utils.spectral_norm(torch.nn.Linear(3, 2))
    >>> [name for name, _ in layer.named_parameters()]
    ['bias', 'weight_orig']
    """
    if any([isinstance(hook, SpectralNorm) and hook.name == name for hook in module._forward_pre_hooks.values()]):
        raise RuntimeError(f"Cannot register two spectral_norm hooks on the same parameter {name}")
    hook, weight = SpectralNorm(name, n_power_iterations, output_dim(module, dim), eps), module._parameters[name]
    if weight is None:
        raise ValueError(f"`SpectralNorm` cannot be applied as parameter `{name}` is None")
    if is_lazy(weight):
        raise ValueError(
            "The module passed to `SpectralNorm` can't have uninitialized parameters. Make sure to run the dummy forward before "
            "applying spectral normalization"
        )
    height, width = hook.reshape_weight_to_matrix(weight).shape
    left, right = [unit(weight.detach().new_empty(n).normal_(), eps) for n in (height, width)]
    delattr(module, name)
    module.register_parameter(name + "_orig", weight)
    setattr(module, name, weight.data)
    module.register_buffer(name + "_u", left)
    module.register_buffer(name + "_v", right)
    module.register_forward_pre_hook(hook)
    module._register_state_dict_hook(SpectralNormStateDictHook(hook))
    module._register_load_state_dict_pre_hook(SpectralNormLoadStateDictPreHook(hook))
    return module


def remove_spectral_norm(module: _M, name: str = "weight") -> _M:
    """``weight = weight_orig / sigma`` as a parameter again. Returns `module`.

    Shapes: no change.
    Raises: ValueError if the parameter is not normalized.

    >>> layer = torch.nn.utils.spectral_norm(torch.nn.Linear(3, 2))
    >>> [name for name, _ in torch.nn.utils.remove_spectral_norm(layer).named_parameters()]
    ['bias', 'weight']
    """

    def is_its(hook: object) -> bool:
        return isinstance(hook, (SpectralNormStateDictHook, SpectralNormLoadStateDictPreHook)) and hook.fn.name == name

    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, SpectralNorm) and hook.name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            break
    else:
        raise ValueError(f"spectral_norm of '{name}' not found in {module}")
    for hooks in (module._state_dict_hooks, module._load_state_dict_pre_hooks):
        for key in [key for key, hook in hooks.items() if is_its(hook)]:
            del hooks[key]
    return module
