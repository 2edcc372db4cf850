"""Several processes that compute together, on MPI: started by ``mpiexec -n 4 python -m mini_dl train.py``.

Needs mpi4py and an MPI library: ``pip install 'mini_dl[mpi]' mpich``. Imported when first used.
"""

import os

from mini_dl._parallel_names import (
    DistBackendError,
    DistError,
    DistNetworkError,
    DistStoreError,
    QueueEmptyError,
    default_pg_timeout,
)
from mini_dl.distributed.backends import Backend, is_backend_available
from mini_dl.distributed.collectives import (
    all_gather,
    all_gather_coalesced,
    all_gather_into_tensor,
    all_gather_single,
    all_reduce,
    all_reduce_coalesced,
    all_to_all,
    all_to_all_single,
    barrier,
    broadcast,
    gather,
    monitored_barrier,
    reduce,
    reduce_scatter,
    reduce_scatter_single,
    reduce_scatter_tensor,
    scatter,
)
from mini_dl.distributed.groups import (
    GroupMember,
    ProcessGroup,
    destroy_process_group,
    get_backend,
    get_backend_config,
    get_global_rank,
    get_group_rank,
    get_node_local_rank,
    get_pg_count,
    get_process_group_ranks,
    get_rank,
    get_world_size,
    group,
    init_process_group,
    is_initialized,
    new_group,
    new_subgroups,
    new_subgroups_by_enumeration,
)
from mini_dl.distributed.mpi import is_available
from mini_dl.distributed.objects import (
    all_gather_object,
    broadcast_object_list,
    gather_object,
    recv_object_list,
    scatter_object_list,
    send_object_list,
)
from mini_dl.distributed.point_to_point import P2POp, batch_isend_irecv, irecv, isend, recv, send
from mini_dl.distributed.reducing import ReduceOp, supports_complex
from mini_dl.distributed.rendezvous import rendezvous  # the function, not the file
from mini_dl.distributed.stores import FileStore, HashStore, PrefixStore, Store, TCPStore
from mini_dl.distributed.work import Work

import mini_dl.distributed.batchnorm  # isort: skip  # how SyncBatchNorm works with several processes


def is_mpi_available() -> bool:
    """Whether MPI can be used: whether mpi4py is installed."""
    return is_available()


def is_gloo_available() -> bool:
    """Whether the name "gloo" can be used: it means MPI."""
    return is_available()


def is_torchelastic_launched() -> bool:
    """Whether `mini_dl.distributed.run` has started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def get_default_backend_for_device(device: object) -> str:
    """The backend for a device: there is one device. ValueError for others."""
    if str(device).partition(":")[0] != "cpu":
        raise ValueError(f"Default backend not registered for device : {device}")
    return Backend.GLOO
