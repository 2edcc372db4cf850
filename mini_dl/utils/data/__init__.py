"""Datasets, samplers, and the loader that makes batches from them."""

from mini_dl._listing import list_names
from mini_dl.utils.data.collate import (
    default_collate as default_collate,
    default_collate_fn_map as default_collate_fn_map,
    default_convert as default_convert,
)
from mini_dl.utils.data.dataloader import DataLoader as DataLoader
from mini_dl.utils.data.dataset import (
    ChainDataset as ChainDataset,
    ConcatDataset as ConcatDataset,
    Dataset as Dataset,
    IterableDataset as IterableDataset,
    StackDataset as StackDataset,
    Subset as Subset,
    TensorDataset as TensorDataset,
    random_split as random_split,
)
from mini_dl.utils.data.distributed import DistributedSampler as DistributedSampler
from mini_dl.utils.data.sampler import (
    BatchSampler as BatchSampler,
    RandomSampler as RandomSampler,
    Sampler as Sampler,
    SequentialSampler as SequentialSampler,
    SubsetRandomSampler as SubsetRandomSampler,
    WeightedRandomSampler as WeightedRandomSampler,
)
from mini_dl.utils.data.worker import WorkerInfo as WorkerInfo, get_worker_info as get_worker_info

list_names(globals())
