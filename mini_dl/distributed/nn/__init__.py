"""Collectives through which gradients flow."""

from mini_dl.autograd.function import Function
from mini_dl.distributed.groups import group
from mini_dl.distributed.nn.functional import (
    all_gather,
    all_reduce,
    all_to_all,
    all_to_all_single,
    broadcast,
    gather,
    reduce,
    reduce_scatter,
    scatter,
)
from mini_dl.distributed.reducing import ReduceOp
