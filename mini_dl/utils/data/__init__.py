"""Datasets, the order in which they are read, and the loader that makes batches from them."""

from mini_dl._listing import list_names
from mini_dl.utils.data.collate import (
    default_collate as default_collate,
)
from mini_dl.utils.data.collate import (
    default_collate_fn_map as default_collate_fn_map,
)
from mini_dl.utils.data.collate import (
    default_convert as default_convert,
)
from mini_dl.utils.data.dataloader import DataLoader as DataLoader
from mini_dl.utils.data.dataset import (
    ChainDataset as ChainDataset,
)
from mini_dl.utils.data.dataset import (
    ConcatDataset as ConcatDataset,
)
from mini_dl.utils.data.dataset import (
    Dataset as Dataset,
)
from mini_dl.utils.data.dataset import (
    IterableDataset as IterableDataset,
)
from mini_dl.utils.data.dataset import (
    StackDataset as StackDataset,
)
from mini_dl.utils.data.dataset import (
    Subset as Subset,
)
from mini_dl.utils.data.dataset import (
    TensorDataset as TensorDataset,
)
from mini_dl.utils.data.dataset import (
    random_split as random_split,
)
from mini_dl.utils.data.sampler import (
    BatchSampler as BatchSampler,
)
from mini_dl.utils.data.sampler import (
    RandomSampler as RandomSampler,
)
from mini_dl.utils.data.sampler import (
    Sampler as Sampler,
)
from mini_dl.utils.data.sampler import (
    SequentialSampler as SequentialSampler,
)
from mini_dl.utils.data.sampler import (
    SubsetRandomSampler as SubsetRandomSampler,
)
from mini_dl.utils.data.sampler import (
    WeightedRandomSampler as WeightedRandomSampler,
)
from mini_dl.utils.data.worker import WorkerInfo as WorkerInfo
from mini_dl.utils.data.worker import get_worker_info as get_worker_info

list_names(globals())
