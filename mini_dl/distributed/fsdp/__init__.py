"""Models whose parameters do not fit in one process: each holds some rows of each parameter, and layers gather theirs when they
run.

Rajbhandari et al. 2020, ZeRO: Memory Optimizations Toward Training Trillion Parameter Models (SC20), section 5; Zhao et al. 2023,
PyTorch FSDP (VLDB 16(12)).
"""

from mini_dl.distributed.fsdp.fully_shard import FSDPModule as FSDPModule, fully_shard as fully_shard
from mini_dl.distributed.fsdp.fully_sharded_data_parallel import (
    FullStateDictConfig as FullStateDictConfig,
    FullyShardedDataParallel as FullyShardedDataParallel,
    ShardedStateDictConfig as ShardedStateDictConfig,
    ShardingStrategy as ShardingStrategy,
    StateDictType as StateDictType,
)
