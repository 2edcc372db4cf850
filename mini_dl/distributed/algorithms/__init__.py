"""Algorithms built on the collectives: uneven inputs (`join`) and the hooks of `DistributedDataParallel`."""

from mini_dl.distributed.algorithms.join import Join as Join, Joinable as Joinable, JoinHook as JoinHook
