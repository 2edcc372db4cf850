"""Operands that overlap with the written memory: torch rejects them if it detects them.

Two tensors are compared only if each is non-overlapping and dense; torch accepts others, and the result is computed before
it is written.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mini_dl._abstract import is_abstract
from mini_dl._dtypes import Array
from mini_dl._meta import is_meta_array
from mini_dl.autograd.mode import at_work
from mini_dl.autograd.places import address_of
from mini_dl.tensor import Tensor

NO_OVERLAP = frozenset(
    "_linalg_cross addr cat column_stack concat concatenate cross dstack gather ger hstack index_add index_copy index_put "
    "index_reduce index_select kron masked_select median nanmedian nonzero outer put row_stack scatter scatter_add "
    "scatter_reduce stack take take_along_dim vstack".split()
)
"""Functions whose operands may not even be the written tensor itself."""
UNCHECKED = frozenset(
    "addbmm addmv alias_copy all amax amin any argmax argmin as_strided_copy avg_pool2d avg_pool3d bmm bucketize "
    "chain_matmul cholesky cholesky_inverse cholesky_solve cummax cummin detach_copy diag diagonal_copy diff dot "
    "float_power frobenius_norm hash_tensor histc histogram inner inverse isin kthvalue log_softmax logsumexp lu lu_solve "
    "masked_scatter matmul matrix_power mean mm multigammaln multinomial mv mvlgamma nanmean nanquantile nansum narrow_copy "
    "ndtr norm nuclear_norm orgqr ormqr prod qr quantile resize_as searchsorted slice_copy slice_scatter softmax split_copy "
    "squeeze_copy std sum t_copy tensordot tril triu unsqueeze_copy var vdot view_as_complex_copy view_as_real_copy".split()
)
"""Functions for which torch has no check: it computes into separate memory, or overwrites memory that it still reads."""
BEFORE_VALUE = {"index_fill": 2, "masked_fill": 1}
"""The number of operands of functions that read their last one, a value, before they write."""
ACCUMULATING = frozenset("addr index_add index_copy index_reduce scatter scatter_add scatter_reduce".split())
"""Those of NO_OVERLAP whose first operand may be the written tensor itself."""


def is_dense(array: Array) -> bool:
    """Whether the elements are dense in memory, in any order of the dimensions."""
    return array.flags.forc or array.transpose(np.argsort([-step for step in array.strides])).flags.c_contiguous


def has_same_order(array: Array, other: Array) -> bool:
    """Whether the elements have the same order in memory."""
    return all([n == 1 or step == wanted for n, step, wanted in zip(array.shape, array.strides, other.strides)])


def overlap_kind(target: Array, other: Array) -> str:
    """The overlap of two dense arrays: "" for none, "partly", or "wholly"."""
    if not np.may_share_memory(target, other) or is_meta_array(target) or is_meta_array(other):
        return ""
    if not (target.size and other.size and is_dense(target) and is_dense(other)):
        return ""
    if is_abstract(target) or is_abstract(other):
        return ""
    together = address_of(target) == address_of(other) and target.nbytes == other.nbytes
    return "wholly" if together and target.ndim == other.ndim and has_same_order(target, other) else "partly"


def overlaps_illegally(target: Tensor, value: Tensor, entirely: bool = False) -> bool:
    """Whether torch rejects `value` when `target` is written; `entirely`: also the tensor itself."""
    array, other = target._array, value._array
    if array is other:
        return entirely and (array.size > 0 or target is value)
    if array.base is None and other.base is None:
        return False
    return overlap_kind(array, other) in (("partly", "wholly") if entirely else ("partly",))


def any_overlaps_illegally(target: Tensor, values: Iterable[object], entirely: bool = False) -> bool:
    """Whether one of `values`, or of the tensors in them, partially overlaps with `target`."""
    if target._sparse or at_work.anywhere:
        return False
    for value in values:
        if isinstance(value, Tensor):
            if not value._sparse and overlaps_illegally(target, value, entirely):
                return True
        elif isinstance(value, (list, tuple)) and any_overlaps_illegally(target, value, entirely):
            return True
    return False


def check_operands(target: Tensor, values: Iterable[object], entirely: bool = False) -> None:
    """RuntimeError if one of `values` partially overlaps with `target`."""
    if any_overlaps_illegally(target, values, entirely):
        raise shared_memory()


def shared_memory() -> RuntimeError:
    return RuntimeError(
        "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory location. "
        "Please clone() the tensor before performing the operation."
    )
