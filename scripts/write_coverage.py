"""Write docs/coverage.md: which public names of torch exist here, and why the others do not.

python scripts/write_coverage.py
python scripts/write_coverage.py --check     # ends with 1 if the file is not what would be written
python scripts/write_coverage.py --names     # rewrites the list of torch's names; needs torch
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
import sys
import textwrap
from collections import defaultdict
from pathlib import Path
from types import ModuleType
from typing import Any

from _report import BAD_CALL, brought_up_to_date

import mini_dl
from mini_dl.files.replacing import rewrite

ROOT = Path(__file__).resolve().parent.parent
PAGE, NAMES = ROOT / "docs" / "coverage.md", ROOT / "scripts" / "torch_names.txt"

PLACES = {  # which names count
    "nn": "modules",
    "nn.functional": "functions",
    "nn.init": "listed",
    "nn.utils": "listed",
    "nn.utils.rnn": "listed",
    "nn.utils.parametrize": "listed",
    "nn.utils.parametrizations": "listed",
    "nn.utils.prune": "own",
    "nn.utils.stateless": "listed",
    "func": "listed",
    "optim": "listed",
    "optim.lr_scheduler": "listed",
    "optim.swa_utils": "listed",
    "Tensor": "members",
    "torch": "functions",
    "linalg": "functions",
    "special": "listed",
    "fft": "functions",
}
HELPERS = set(
    "Optional assert_int_or_pair boolean_dispatch handle_torch_function has_torch_function has_torch_function_unary "
    "has_torch_function_variadic".split()
)  # imported into nn.functional for its own use

MODULES = {
    "Container": "deprecated: a Module that registers its keyword arguments; `ModuleDict` took its place",
    "DataParallel": "one model on several CUDA devices; on a CPU torch's only passes through",
}
SPARSE, QUANTIZED = "sparse tensors", "quantized tensors"
DEVICES, COMPILER = "another device or a library for it", "TorchScript, compilation and symbolic shapes"
REMOVED, SETTINGS = "deprecated; torch itself only raises or forwards", "settings of torch's threads, kernels and processes"
REASONS = [
    (SPARSE, r"(to_)?sparse.*|.*_sparse_.*|.*(ccol|crow|col|row)_indices.*|(is_)?coalesced?|dense_dim|to_dense|smm|sspaddmm"),
    (SPARSE, r"saddmm|spmm|dsmm|hsmm|hspmm|resize_as_sparse_|indices(_copy)?|values(_copy)?|slice_inverse|to_padded_tensor"),
    (QUANTIZED, r".*quantize.*|q_.*|qscheme|int_repr|fbgemm_.*|choose_qparams_.*|fused_moving_avg_obs_fake_quant"),
    (DEVICES, r"(cudnn|miopen|mkldnn)_.*|to_mkldnn|cuda|xpu|ipu|mtia|is_(ipu|maia|mtia|vulkan|xla|distributed)|record_stream"),
    (DEVICES, r"batch_norm_(backward_elemt|backward_reduce|elemt|gather_stats|gather_stats_with_counts|stats|update_stats)"),
    (DEVICES, r"pin_memory|is_vulkan_available|get_device_module|set_default_device|grouped_mm|scaled_mm|scaled_grouped_mm"),
    (DEVICES, r"profiler_.*"),
    ("automatic mixed precision", r".*autocast.*"),
    ("a type that NumPy does not have", r"bfloat16|chalf"),
    (COMPILER, r"compile|cond|while_loop|fork|wait|sym_.*|import_ir_module.*|parse_.*|merge_type_.*|unify_type_list|as_subclass"),
    (COMPILER, r"functionalize|debug_unwrap|dim_order|classproperty|get_file_path|compiled_with_cxx11_abi"),
    ("transforms of functions: they wait", r"vmap|grad|grad_and_value|jvp|vjp|jacfwd|jacrev|hessian|linearize"),
    ("transforms of functions: they wait", r"rearrange|replace_all_batch_norm_modules_"),
    (REMOVED, r"eig|symeig|lstsq|solve|matrix_rank|resize|resize_as|volatile|reinforce|set_default_tensor_type"),
    (SETTINGS, r".*(num_threads|interop_threads|deterministic.*|flush_denormal|float32_matmul_precision|warn_always.*)"),
    (SETTINGS, r"prepare_multiprocessing_environment|thread_safe_generator|is_anomaly.*|set_anomaly_enabled"),
    ("internals of torch", r".*storage.*|from_file|name|index|const_data_ptr|module_load|map2_|grad_dtype|native_.*"),
    ("internals of torch", r"swap_in_optimizer_params_and_state|norm_except_dim|frobenius_norm|nuclear_norm|hash_tensor"),
]
LATER = "not yet"


# ------------------------------------------------------------------------------------------------ names


def place(library: ModuleType, path: str) -> Any:
    """The module or class at a dotted path of a library, or None."""
    here: Any = library
    for part in path.split(".") if path != "torch" else ():
        here = getattr(here, part, None)
    return here


def names_at(where: Any, kind: str) -> list[str]:
    """The public names of a namespace of torch's that count."""
    if kind == "listed":
        return sorted(where.__all__)
    public = [name for name in dir(where) if not name.startswith("_") and name not in HELPERS]
    if kind == "members":
        return public
    values = {name: getattr(where, name) for name in public}
    if kind == "modules":
        base = where.Module
        return [name for name, value in values.items() if isinstance(value, type) and issubclass(value, base)]
    if kind == "own":
        return [name for name, value in values.items() if getattr(value, "__module__", None) == where.__name__]
    return [name for name, value in values.items() if inspect.isroutine(value) or type(value).__name__ == "BuiltinFunction"]


def names_of(torch: ModuleType) -> dict[str, list[str]]:
    """All public names of the installed torch that count, by place."""
    found = {}
    for path, kind in PLACES.items():
        if path.startswith("nn.utils") or path == "func":
            importlib.import_module(f"torch.{path}")
        found[path] = names_at(place(torch, path), kind)
    return found


def read_names(text: str) -> tuple[str, dict[str, list[str]]]:
    """The version of torch and the names by place, from the file."""
    version, *sections = re.split(r"^\[(.*)\]$", text, flags=re.MULTILINE)
    found = re.search(r"torch (\d+\.\d+\.\d+)", version)
    if found is None:
        raise ValueError(f"{NAMES.name} does not say of which torch the names are")
    return found.group(1), {path: names.split() for path, names in zip(sections[::2], sections[1::2])}


def write_names(version: str, names: dict[str, list[str]]) -> str:
    sections = [f"[{path}]\n{textwrap.fill(' '.join(listed), 130)}\n" for path, listed in names.items()]
    return "\n".join([f"# The public names of torch {version}. Written by scripts/write_coverage.py --names.\n", *sections])


# ------------------------------------------------------------------------------------------------ the page


def reason(path: str, name: str) -> str:
    if path == "nn":
        return MODULES.get(name, LATER)
    return next((why for why, pattern in REASONS if re.fullmatch(pattern, name)), LATER)


def page(version: str, names: dict[str, list[str]]) -> str:
    missing = {path: [n for n in listed if not hasattr(place(mini_dl, path), n)] for path, listed in names.items()}
    shown = {path: f"torch.{path}" if path != "torch" else "torch" for path in names}
    lines = [
        "# Coverage",
        "",
        f"Of the public names of torch {version}, counted by `scripts/write_coverage.py`: classes in `torch.nn`, functions in",
        "`torch`, `torch.nn.functional`, `torch.linalg` and `torch.fft`, all members of `torch.Tensor`, what `__all__` lists",
        "elsewhere. This page counts names only; what is here is compared with torch by `parity_tests/`.",
        "",
        "| place | here | of | missing |",
        "|---|--:|--:|--:|",
    ]
    for path, listed in names.items():
        lines.append(f"| `{shown[path]}` | {len(listed) - len(missing[path])} | {len(listed)} | {len(missing[path])} |")
    total, gone = sum(map(len, names.values())), sum(map(len, missing.values()))
    lines += [f"| all | {total - gone} | {total} | {gone} |", ""]
    lines += ["## Modules that are not here", "", "| class | reason |", "|---|---|"]
    lines += [f"| `{name}` | {reason('nn', name)} |" for name in missing["nn"]]
    lines += ["", "Quantized modules live in `torch.ao.nn`, not in `torch.nn`; there are none of them here.", ""]
    lines += ["## Other names that are not here", ""]
    groups: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path, listed in missing.items():
        for name in listed if path != "nn" else ():
            groups[reason(path, name)][path].append(name)
    order = list(dict.fromkeys([LATER, *[why for why, _ in REASONS]]))
    for why in [why for why in order if why in groups]:
        count = sum(map(len, groups[why].values()))
        lines += [f"### {why[0].upper()}{why[1:]} ({count})", "", "| place | names |", "|---|---|"]
        lines += [f"| `{shown[path]}` | {' '.join(f'`{name}`' for name in listed)} |" for path, listed in groups[why].items()]
        lines.append("")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    made = argparse.ArgumentParser(description="Write docs/coverage.md.")
    made.add_argument("--check", action="store_true", help="write nothing; end with 1 if the page is out of date")
    made.add_argument("--names", action="store_true", help="write the list of torch's names anew; needs torch")
    options = made.parse_args(arguments)
    if options.names:
        try:
            torch = importlib.import_module("torch")
        except ImportError:
            print("torch is not installed")
            return BAD_CALL
        rewrite(NAMES, write_names(torch.__version__.partition("+")[0], names_of(torch)))
    text = page(*read_names(NAMES.read_text(encoding="utf-8")))
    return brought_up_to_date(PAGE, text, options.check, "python scripts/write_coverage.py")


if __name__ == "__main__":
    sys.exit(main())
