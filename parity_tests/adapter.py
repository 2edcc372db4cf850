"""torch's own test tables. Only this file touches them: their names are private and may change."""

from __future__ import annotations

import fnmatch
import functools
import inspect
import types
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from parity_tests import bridge

torch.set_num_threads(1)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal import common_utils, opinfo
    from torch.testing._internal.common_methods_invocations import op_db

SEED = 0


common_utils.extract_test_fn = opinfo.core.extract_test_fn = lambda: None  # ours are not TestCases: it reads the stack in vain
SUMS_OF_PRODUCTS = set(
    "addbmm addmm addmv baddbmm bmm cumsum dot einsum inner linalg.multi_dot linalg.vecdot matmul __rmatmul__ mean mm mv "
    "nn.functional.bilinear nn.functional.linear sum tensordot vdot".split()
)
CROPPED = ("grid_sampler_3d",)
"""Entries with batches of up to 20 images of 250,000 numbers each: two of them say as much."""


@dataclass
class Sample:
    """One call: `input` and the other arguments. `finish` selects the part of the result to differentiate."""

    input: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    finish: Any = None
    broadcasts: bool = False

    @property
    def all_args(self) -> tuple[Any, ...]:
        return (self.input, *self.args)


@dataclass
class ErrorSample:
    sample: Sample
    exception: type[BaseException]
    pattern: str


class Entry:
    """One op of torch's table, and mini_dl's counterpart if there is one."""

    prefix = ""

    def __init__(self, info: Any) -> None:
        self.info = info
        self.name: str = info.name
        self.variant: str = info.variant_test_name
        self.theirs = info.op

    def __repr__(self) -> str:
        return self.name + (f":{self.variant}" if self.variant else "")

    # ------------------------------------------------------------------------------------------- capabilities

    @property
    def dtypes(self) -> list[str]:
        return sorted(bridge.name_of(d) for d in self.info.supported_dtypes("cpu") if d in bridge.NUMPY_DTYPES)

    @property
    def gradient_dtypes(self) -> list[str]:
        if not self.info.supports_autograd:
            return []
        found = self.info.supported_backward_dtypes("cpu")
        return sorted(bridge.name_of(d) for d in found if d in bridge.NUMPY_DTYPES and (d.is_floating_point or d.is_complex))

    @property
    def supports_gradgrad(self) -> bool:
        return bool(self.info.supports_gradgrad)

    @property
    def is_sum_of_products(self) -> bool:
        """Whether the result, and so each gradient, is a sum of products of the arguments: its error is judged by the sum of
        their absolute values.
        """
        return self.name in SUMS_OF_PRODUCTS or self.name.startswith("nn.functional.conv")

    @property
    def has_free_signs(self) -> bool:
        """Whether vectors of the result are determined up to a factor of absolute value 1: `Sample.finish` removes it."""
        return self.name in ("linalg.eig", "linalg.eigh", "linalg.svd", "svd", "svd_lowrank", "pca_lowrank")

    @property
    def undetermined(self) -> bool:
        """Whether the values of the result are uninitialized memory."""
        return self.name.startswith(("empty", "new_empty"))

    @property
    def has_references(self) -> bool:
        return self.info.reference_inputs_func is not None

    @property
    def supports_out(self) -> bool:
        return bool(self.info.supports_out)

    @functools.cached_property
    def out_of_scope(self) -> str | None:
        """Why mini_dl does not claim this entry; None if it is a public op of dense tensors."""
        if self.name == "chalf":
            return "dtype that NumPy lacks"
        if self.name.startswith("sparse."):
            return "its arguments are sparse, which the bridge does not carry; see test_sparse"
        if self.name.startswith("jiterator"):
            return "CUDA"
        bare = self.name.removeprefix("torch.").removeprefix("ops.").removeprefix("aten.").removeprefix("nn.functional.")
        if (bare.startswith("_") and not bare.startswith("__")) or isinstance(self.theirs, torch._ops.OpOverload):
            return "private"
        if self.name == "max_pool2d_with_indices_backward":
            return "private"
        return None

    @functools.cached_property
    def ours(self) -> Any:
        """mini_dl's function. Raises Missing if it has none."""
        function = self.theirs
        if self.name == "max_pool2d_with_indices_backward":
            raise bridge.Missing("a private function of torch")
        if self.name == "chalf" or self.name.startswith(("sparse.", "torch.ops.")):
            raise bridge.Missing(f"torch.{self.name}: {self.out_of_scope}")
        if isinstance(function, types.FunctionType) and function.__module__.startswith("torch.testing"):
            return bridge.transplant(function)
        if self.name.startswith("__"):
            return bridge.lookup("Tensor." + self.name.replace("__rdiv__", "__rtruediv__"))
        if isinstance(function, types.MethodDescriptorType):
            return bridge.lookup("Tensor." + self.name)
        try:
            return bridge.lookup(self.name)
        except bridge.Missing:
            if isinstance(function, torch._ops.OpOverload | torch._ops.OpOverloadPacket):
                raise
            return bridge.translate(function)

    def resolves(self) -> bool:
        try:
            return self.ours is not None
        except bridge.Missing:
            return False

    def aliases(self) -> list[tuple[str, Any, Any]]:
        """(name, torch's function, mini_dl's or None) of every other spelling: method, operator, aliases."""
        found = []
        if (method := self.info.get_method()) is not None:
            found.append((f"Tensor.{method.__name__}", method))
        found.extend((f"Tensor.{alias.name}", alias.method_variant) for alias in self.info.aliases if alias.method_variant)
        found.extend((alias.name, alias.op) for alias in self.info.aliases if alias.op)
        made: list[tuple[str, Any, Any]] = []
        for name, theirs in found:
            if name.endswith(("__rdiv__", "Tensor.divide__")) or (isinstance(theirs, types.FunctionType) and "<" in name):
                continue
            try:
                made.append((name, theirs, bridge.lookup(name.removeprefix("torch."))))
            except bridge.Missing:
                made.append((name, theirs, None))
        if (op := self.info.get_operator()) is not None and op is not None:
            made.append((f"operator.{op.__name__}", op, op))
        return made

    def inplace(self) -> list[tuple[str, Any, Any]]:
        """(name, torch's function, mini_dl's or None) of every in-place spelling."""
        variants = [("", self.info.get_inplace())]
        variants += [("", alias.inplace_variant) for alias in self.info.aliases]
        made: list[tuple[str, Any, Any]] = []
        for _, theirs in variants:
            name = getattr(theirs, "__name__", "")
            if not hasattr(torch.Tensor, name):
                continue
            made.append((f"Tensor.{name}", theirs, getattr(bridge.Tensor, name, None)))
        if (op := self.info.get_inplace_operator()) is not None:
            made.append((f"operator.{op.__name__}", op, op))
        if isinstance(self.theirs, types.FunctionType) and "inplace" in inspect.signature(self.theirs).parameters:
            theirs, ours = (functools.partial(function, inplace=True) for function in (self.theirs, self.ours))
            made.append(("inplace=True", theirs, ours))
        return made

    # ------------------------------------------------------------------------------------------- samples

    def samples(self, dtype: str, requires_grad: bool = False) -> Iterator[Sample]:
        torch.manual_seed(SEED)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for sample in self.info.sample_inputs("cpu", getattr(torch, dtype), requires_grad=requires_grad):
                yield _first_images(_sample(sample)) if self.name in CROPPED else _sample(sample)

    def reference_samples(self, dtype: str, requires_grad: bool, number: int | None = None) -> list[Sample]:
        """torch's reference inputs beyond the samples: broadcasts, strides, extreme values; `number` of them, spread over all."""
        if not self.has_references:
            return []
        torch.manual_seed(SEED)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found = list(self.info.reference_inputs("cpu", getattr(torch, dtype), requires_grad=requires_grad))
            except (RuntimeError, ValueError):  # some of them are integers, which cannot require grad
                found = list(self.info.reference_inputs("cpu", getattr(torch, dtype), requires_grad=False))
        step = 1 if number is None else max(1, len(found) // number)
        return [_sample(sample) for sample in found[::-step][:number]]  # the samples themselves come first

    def error_samples(self) -> Iterator[ErrorSample]:
        if self.info.error_inputs_func is None:
            return
        torch.manual_seed(SEED)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for error in self.info.error_inputs("cpu"):
                yield ErrorSample(_sample(error.sample_input), error.error_type, error.error_regex)


def _first_images(sample: Sample) -> Sample:
    """The sample with at most two images of its batch."""
    grid, *options = sample.args
    image, grid = (tensor[:2].detach().requires_grad_(tensor.requires_grad) for tensor in (sample.input, grid))
    return replace(sample, input=image, args=(grid, *options))


def _sample(sample: Any) -> Sample:
    finish = sample.output_process_fn_grad
    if finish is not None and finish.__module__ == "torch.testing._internal.opinfo.core":
        finish = None
    return Sample(sample.input, sample.args, sample.kwargs, finish, sample.broadcasts_input)


def noncontiguous(sample: Sample) -> Sample:
    """The same call over tensors that are not contiguous."""
    from torch.testing._internal.common_utils import noncontiguous_like

    def convert(item: Any) -> Any:
        return noncontiguous_like(item) if isinstance(item, torch.Tensor) and item.layout is torch.strided else item

    with torch.no_grad():
        return Sample(*bridge.walk((sample.input, sample.args, sample.kwargs), convert), sample.finish, sample.broadcasts)


def chosen(table: list[Any], patterns: list[str]) -> list[Any]:
    """The entries of one of torch's tables that one of `patterns` names (``add``, ``nn.functional.*loss``, ``Conv2d``); without
    patterns all.
    """

    def spellings(entry: Any) -> set[str]:
        return {repr(entry), entry.name, entry.name.removeprefix(entry.prefix)}

    return [e for e in table if not patterns or any(fnmatch.fnmatchcase(name, p) for name in spellings(e) for p in patterns)]


@functools.cache
def entries() -> list[Entry]:
    return [Entry(info) for info in op_db]


def dense_entries(dtype: str) -> list[Entry]:
    """The entries that mini_dl has, that support this type, and whose results are dense."""
    return [
        entry
        for entry in entries()
        if not entry.out_of_scope and "sparse" not in entry.name.split(".")[0] and entry.resolves() and dtype in entry.dtypes
    ]


# ------------------------------------------------------------------------------------------------ modules


@dataclass
class ModuleSample:
    """The arguments with which a module is constructed and called."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: tuple[Any, ...]
    keywords: dict[str, Any]
    description: str = ""


@dataclass
class ModuleError:
    sample: ModuleSample
    in_constructor: bool
    exception: type[BaseException]
    pattern: str


class TableEntry:
    """A row of torch's table of modules or optimizers: the class there, and ours of the same name."""

    prefix: str
    out_of_scope = None

    def __init__(self, info: Any, cls: Any) -> None:
        self.info, self.theirs = info, cls
        self.name: str = self.prefix + cls.__name__

    def __repr__(self) -> str:
        return self.name

    @functools.cached_property
    def ours(self) -> Any:
        return bridge.lookup(self.name)

    def resolves(self) -> bool:
        try:
            return self.ours is not None
        except bridge.Missing:
            return False


class ModuleEntry(TableEntry):
    prefix = "nn."

    def __init__(self, info: Any) -> None:
        super().__init__(info, info.module_cls)
        self.lazy: bool = info.is_lazy
        if info.module_cls.__module__.startswith(("torch.ao", "torch.nn.quant", "torch.nn.qat")):
            self.name = f"{info.module_cls.__module__.removeprefix('torch.')}.{info.module_cls.__name__}"

    @property
    def dtypes(self) -> list[str]:
        return sorted(bridge.name_of(d) for d in self.info.supported_dtypes("cpu") if d in bridge.NUMPY_DTYPES)

    def samples(self, dtype: str, training: bool) -> Iterator[ModuleSample]:
        torch.manual_seed(SEED)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            inputs = self.info.module_inputs_func(
                self.info, device="cpu", dtype=getattr(torch, dtype), requires_grad=True, training=training
            )
            yield from map(_module_sample, inputs)

    def error_samples(self) -> Iterator[ModuleError]:
        if self.info.module_error_inputs_func is None:
            return
        torch.manual_seed(SEED)
        for training in (True, False):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                errors = self.info.module_error_inputs_func(
                    self.info, device="cpu", dtype=torch.float32, requires_grad=False, training=training
                )
                for error in errors:
                    made = _module_sample(error.module_error_input)
                    yield ModuleError(made, error.error_on.value == 0, error.error_type, error.error_regex)


def _module_sample(sample: Any) -> ModuleSample:
    made, given = sample.constructor_input, sample.forward_input
    return ModuleSample(
        made.args, made.kwargs, given.args if given else (), given.kwargs if given else {}, getattr(sample, "desc", "")
    )


@functools.cache
def module_entries() -> list[ModuleEntry]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_modules import module_db
    return [ModuleEntry(info) for info in module_db]


# ------------------------------------------------------------------------------------------------ optimizers


@dataclass
class OptimizerError:
    params: Any
    kwargs: dict[str, Any]
    in_constructor: bool
    exception: type[BaseException]
    pattern: str


class OptimizerEntry(TableEntry):
    prefix = "optim."

    def __init__(self, info: Any) -> None:
        super().__init__(info, info.optim_cls)
        self.sparse: bool = info.only_supports_sparse_grads
        self.needs_closure: bool = info.step_requires_closure

    def settings(self) -> list[dict[str, Any]]:
        """The keyword arguments of torch's table, then each implementation that torch offers."""
        found = [dict(one.kwargs) for one in self.info.optim_inputs_func(device="cpu")]
        return found + [{flag: True} for flag in self.info.supported_impls]

    def error_samples(self) -> Iterator[OptimizerError]:
        for error in self.info.optim_error_inputs_func(device="cpu", dtype=torch.float32):
            sample = error.optimizer_error_input
            yield OptimizerError(sample.params, sample.kwargs, error.error_on.value == 0, error.error_type, error.error_regex)


@functools.cache
def optimizer_entries() -> list[OptimizerEntry]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_optimizers import optim_db
    return [OptimizerEntry(info) for info in optim_db]
