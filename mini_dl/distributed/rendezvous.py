"""Where processes find each other's store."""

from mini_dl.distributed.stores import (
    FileStore as FileStore,
    PrefixStore as PrefixStore,
    Store as Store,
    TCPStore as TCPStore,
    rendezvous as rendezvous,
)
