"""The environment, for bug reports: ``python -m mini_dl.utils.collect_env``."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from typing import NamedTuple

import numpy as np

__all__ = ["SystemEnv", "get_env_info", "get_pretty_env_info", "main"]

PACKAGES = "mini-dl numpy ml_dtypes scipy matplotlib torch torchvision torchaudio torchmetrics timm transformers".split()
NONE = "N/A"


class SystemEnv(NamedTuple):
    """Facts about the system. Unlike torch, it does not query compilers and devices."""

    torch_version: str = NONE
    is_debug_build: str = NONE
    cuda_compiled_version: str = NONE
    gcc_version: str = NONE
    clang_version: str = NONE
    cmake_version: str = NONE
    os: str = NONE
    libc_version: str = NONE
    python_version: str = NONE
    python_platform: str = NONE
    is_cuda_available: str = NONE
    cuda_runtime_version: str = NONE
    cuda_module_loading: str = NONE
    nvidia_driver_version: str = NONE
    nvidia_gpu_models: str = NONE
    cudnn_version: str = NONE
    is_xpu_available: str = NONE
    pip_version: str = NONE
    pip_packages: str = NONE
    conda_packages: str = NONE
    hip_compiled_version: str = NONE
    hip_runtime_version: str = NONE
    miopen_runtime_version: str = NONE
    caching_allocator_config: str = NONE
    is_xnnpack_available: str = NONE
    cpu_info: str = NONE


def _installed() -> str:
    there = {one.metadata["Name"]: one.version for one in metadata.distributions()}
    return "\n".join([f"{name}=={there[name]}" for name in PACKAGES if name in there])


def get_env_info() -> SystemEnv:
    """The facts about this system."""
    version = getattr(sys.modules["mini_dl"], "__version__", NONE)
    bits = sys.maxsize.bit_length() + 1
    return SystemEnv(
        torch_version=f"mini_dl {version}",
        is_debug_build="False",
        os=f"{platform.system()} {platform.release()} ({platform.machine()})",
        libc_version="-".join(platform.libc_ver()) or NONE,
        python_version=f"{sys.version.splitlines()[0]} ({bits}-bit runtime)",
        python_platform=platform.platform(),
        is_cuda_available="False",
        is_xpu_available="False",
        pip_packages=_installed(),
        cpu_info=f"{platform.processor() or platform.machine()}, NumPy {np.__version__}",
    )


LINES = (
    ("PyTorch version", "torch_version"),
    ("Is debug build", "is_debug_build"),
    ("CUDA used to build PyTorch", "cuda_compiled_version"),
    ("OS", "os"),
    ("Libc version", "libc_version"),
    ("Python version", "python_version"),
    ("Python platform", "python_platform"),
    ("Is CUDA available", "is_cuda_available"),
    ("Is XPU available", "is_xpu_available"),
    ("CPU", "cpu_info"),
)


def pretty_str(envinfo: SystemEnv) -> str:
    """The facts as text."""
    lines = [f"{title}: {getattr(envinfo, name)}" for title, name in LINES]
    return "\n".join(
        [*lines, "", "Versions of relevant libraries:", *[f"[pip3] {one}" for one in envinfo.pip_packages.split("\n")]]
    )


def get_pretty_env_info() -> str:
    """The facts about this system as text."""
    return pretty_str(get_env_info())


def main() -> None:
    """Print the facts about this system."""
    print("Collecting environment information...")
    print(get_pretty_env_info())


if __name__ == "__main__":
    main()
