"""Every public function and class has a formula, shapes, errors, and an example."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
from public_values import PLACES, public_values

FORMULA = re.compile(r"``[^`]*[-=+*/^<>()\[\]|&@~,][^`]*``")
PARTS = {
    "formula": FORMULA,
    "shapes": re.compile(r"^Shapes: \S", re.MULTILINE),
    "errors": re.compile(r"^Raises: \S", re.MULTILINE),
    "example": re.compile(r"^>>> ", re.MULTILINE),
}


def kind_of_value(place: str, name: str, value: Any) -> str:
    if inspect.isdatadescriptor(value):
        return "attribute"
    for kind, (_, names) in KINDS.items():
        if name in names.get(place, "").split():
            return kind
    return "function"


NEEDS = {
    "function": "formula shapes errors example",
    "setting": "errors example",
    "attribute": "example",
    "type": "",
    "borrowed": "",
    "older": "",
}
"""By kind, the parts of a docstring besides its first sentence."""

SYMBOLS = """sym_constrain_range sym_constrain_range_for_size sym_float sym_fresh_size sym_int sym_ite sym_max sym_min sym_not
    sym_sqrt sym_sum"""
MODES = "enable_grad inference_mode no_grad set_grad_enabled"
HOLDERS = "Buffer ModuleDict ModuleList Parameter ParameterDict ParameterList UninitializedBuffer UninitializedParameter"
GENERATORS = "get_rng_state initial_seed manual_seed seed set_rng_state"

KINDS: dict[str, tuple[str, dict[str, str]]] = {
    "setting": (
        "a setting, a block, a file or a question about the library: no tensor goes in and comes out",
        {
            "torch": f"""{SYMBOLS} {MODES} {GENERATORS} DisableTorchFunction DisableTorchFunctionSubclass Generator GradScaler
                autocast autocast_decrement_nesting autocast_increment_nesting can_cast classproperty clear_autocast_cache device
                finfo get_autocast_dtype get_default_device get_default_dtype get_num_threads iinfo is_anomaly_check_nan_enabled
                is_anomaly_enabled is_autocast_cache_enabled is_autocast_enabled is_grad_enabled is_inference_mode_enabled load
                promote_types save set_anomaly_enabled set_autocast_cache_enabled set_autocast_dtype set_autocast_enabled
                set_default_dtype set_default_tensor_type set_num_threads set_printoptions typename""",
            "autograd": f"{MODES} detect_anomaly set_detect_anomaly",
            "autograd.forward_ad": "dual_level enter_dual_level exit_dual_level",
            "func": "replace_all_batch_norm_modules_",
            "nn": f"{HOLDERS} Container LinearCrossEntropyOptions",
            "nn.utils.parametrize": f"""{HOLDERS} cached is_parametrized transfer_parametrizations_and_params
                type_before_parametrizations""",
            "nn.utils.prune": "is_pruned",
            "optim.swa_utils": "AveragedModel update_bn",
            "utils.data": """BatchSampler ChainDataset ConcatDataset DataLoader Dataset DistributedSampler IterableDataset
                RandomSampler Sampler SequentialSampler StackDataset Subset SubsetRandomSampler TensorDataset
                WeightedRandomSampler default_collate default_convert get_worker_info random_split""",
            "random": f"{GENERATORS} fork_rng",
            "sparse": "check_sparse_tensor_invariants",
        },
    ),
    "type": (
        "a type whose instances other functions make, or an exception",
        {
            "torch": """AcceleratorError BFloat16Tensor BoolStorage BoolTensor ByteStorage ByteTensor CharStorage CharTensor
                ComplexDoubleStorage ComplexFloatStorage DoubleStorage DoubleTensor FatalError FloatStorage FloatTensor Future
                HalfStorage HalfTensor IntStorage IntTensor JITException LongStorage LongTensor OutOfMemoryError ScriptFunction
                ScriptModule ShortStorage ShortTensor Size Tensor TypedStorage UntypedStorage dtype layout memory_format""",
            "autograd": "DeviceType ProfilerActivity SavedTensor",
            "autograd.forward_ad": "UnpackedDualTensor",
            "linalg": "LinAlgError",
            "sparse": "BFloat16Tensor Tensor",
            "special": "Tensor",
        },
    ),
    "borrowed": (
        "what the module in torch shows because it uses it",
        {
            "nn.init": "Tensor",
            "nn.utils.parametrizations": "Tensor",
            "nn.utils.parametrize": "Tensor get_swap_module_params_on_conversion is_traceable_wrapper_subclass",
            "nn.utils.rnn": "Tensor",
            "optim.swa_utils": "Module",
        },
    ),
    "older": (
        "an older spelling, whose one sentence names the newer",
        {
            "torch": """get_autocast_cpu_dtype get_autocast_gpu_dtype get_autocast_ipu_dtype get_autocast_xla_dtype
                is_autocast_cpu_enabled is_autocast_ipu_enabled is_autocast_xla_enabled set_autocast_cpu_dtype
                set_autocast_cpu_enabled set_autocast_gpu_dtype set_autocast_ipu_dtype set_autocast_ipu_enabled
                set_autocast_xla_dtype set_autocast_xla_enabled"""
        },
    ),
}
"""Names that are not functions of tensors: the reason, and the names by place."""


def missing(place: str) -> dict[str, list[str]]:
    """The parts that docstrings of a place lack, by name."""
    found = {}
    for name, value in public_values(place):
        doc = inspect.cleandoc(value.__doc__ or "")
        lacks = [part for part in NEEDS[kind_of_value(place, name, value)].split() if not PARTS[part].search(doc)]
        if lacks or not doc:
            found[name] = lacks or ["sentence"]
    return found


@pytest.mark.parametrize("place", PLACES)
def test_the_docstrings_of_a_place_have_all_their_parts(place: str) -> None:
    assert missing(place) == {}
