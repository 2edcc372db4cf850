"""The locations of names that torch keeps elsewhere than mini_dl: data for the finder, and for the names under which classes are
pickled.
"""

from __future__ import annotations

OURS = frozenset(
    "kernels tensor files models datasets textbook compat ops _dtypes _device _checks _surface _arguments _leaving _listing "
    "_printing __main__".split()
)
"""Parts of mini_dl that torch does not have: ``torch`` has no module of this name, unless `mini_dl` itself exposes
one that is not its own."""

FUNCTIONAL = (
    "atleast_1d atleast_2d atleast_3d block_diag broadcast_shapes broadcast_tensors cartesian_prod cdist "
    "chain_matmul einsum lu meshgrid norm split stft tensordot unique unique_consecutive unravel_index"
)

OPTIMIZERS = {"adagrad": "Adadelta RMSprop", "adam": "Adamax AdamW NAdam RAdam", "sgd": "ASGD"}
"""By file of `optim`: the optimizers that have a module of their own in torch."""

HOMES: dict[str, tuple[str, str]] = {
    "_lowrank": ("", "pca_lowrank svd_lowrank"),
    "_tensor": ("tensor", ""),
    "_tensor_str": ("_printing", ""),
    "autograd.anomaly_mode": ("autograd.anomaly", "detect_anomaly set_detect_anomaly"),
    "autograd.grad_mode": ("autograd.mode", "enable_grad inference_mode no_grad set_grad_enabled"),
    "functional": ("", FUNCTIONAL),
    "nn.modules.channelshuffle": ("nn.modules.pixelshuffle", "ChannelShuffle"),
    "nn.parallel.data_parallel": ("nn.parallel", "DataParallel data_parallel"),
    "nn.parallel.parallel_apply": ("nn.parallel", "parallel_apply"),
    "nn.parallel.replicate": ("nn.parallel", "replicate"),
    "nn.parallel.scatter_gather": ("nn.parallel", "gather scatter"),
    "optim._adafactor": ("optim.matrices", "Adafactor"),
    "optim._muon": ("optim.matrices", "Muon"),
    "optim.sparse_adam": ("optim.adam", "SparseAdam"),
    **{f"optim.{name.lower()}": (f"optim.{file}", name) for file, names in OPTIMIZERS.items() for name in names.split()},
    "utils.data._utils": ("utils.data", ""),
    "utils.data._utils.collate": ("utils.data.collate", "default_collate default_convert"),
    "utils.data._utils.worker": ("utils.data.worker", "WorkerInfo get_worker_info"),
}
"""torch's module: the module of mini_dl that has its names, and the functions and classes that it defines."""

MOVED = {
    **{(source, name): home for home, (source, names) in HOMES.items() if source for name in names.split()},
    ("nn.modules.attention", "MultiheadAttention"): "nn.modules.activation",
    ("nn.modules.loading", "_IncompatibleKeys"): "nn.modules.module",
    ("autograd.backwards", "backward"): "autograd",
    ("autograd.backwards", "grad"): "autograd",
    ("optim.cycles", "CyclicLR"): "optim.lr_scheduler",
    ("optim.cycles", "OneCycleLR"): "optim.lr_scheduler",
    ("optim.schedule", "LRScheduler"): "optim.lr_scheduler",
}
"""(module of mini_dl, name): the module of torch that defines it, if it has another name."""

PUBLIC = dict.fromkeys(FUNCTIONAL.split(), "functional") | {"pca_lowrank": "_lowrank", "svd_lowrank": "_lowrank"}
"""The functions at the top of both packages that torch defines elsewhere."""
