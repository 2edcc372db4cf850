"""Attributes and details that programs rely on: of optimizers, packed sequences, recurrent networks, devices, indices."""

from __future__ import annotations

import numpy as np
import pytest

from parity_tests.twin import either, raised, twin

OPTIMIZER_ATTRIBUTES = (
    "defaults state param_groups step _optimizer_step_pre_hooks _optimizer_step_post_hooks _optimizer_state_dict_pre_hooks "
    "_optimizer_state_dict_post_hooks _optimizer_load_state_dict_pre_hooks _optimizer_load_state_dict_post_hooks "
    "_zero_grad_profile_name _warned_capturable_if_run_uncaptured profile_hook_step _cuda_graph_capture_health_check"
).split()


@twin
def test_an_optimizer_has_the_attributes_that_wrappers_read(torch, rng):
    optimizer = torch.optim.SGD([rng(2, grad=True)], lr=0.1)
    found = [hasattr(optimizer, name) for name in OPTIMIZER_ATTRIBUTES]
    kinds = [type(getattr(optimizer, name)).__name__ for name in OPTIMIZER_ATTRIBUTES if name.endswith("hooks")]
    return found, kinds, optimizer._zero_grad_profile_name, type(optimizer).step.hooked


@twin
def test_a_schedule_patches_the_step_and_counts(torch, rng):
    optimizer = torch.optim.SGD([rng(2, grad=True)], lr=0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    before = schedule._step_count, optimizer.step._wrapped_by_lr_sched, hasattr(optimizer, "_opt_called")
    optimizer.step()
    schedule.step()
    return before, schedule._step_count, optimizer._opt_called, schedule.get_last_lr(), "step" in vars(optimizer)


@twin
def test_an_optimizer_that_does_not_call_its_base_steps(torch, rng):
    class Own(torch.optim.Optimizer):
        def __init__(self):
            pass

        def step(self, closure=None):
            return 1

    return Own().step()


@twin
def test_a_step_decorated_by_hand_runs_its_hooks_once(torch, rng):
    class Own(torch.optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {"lr": 1.0})

        @torch.optim.Optimizer.profile_hook_step
        def step(self, closure=None):
            return 2

    optimizer, seen = Own([rng(2, grad=True)]), []
    optimizer.register_step_post_hook(lambda *arguments: seen.append(1))
    return optimizer.step(), len(seen) >= 1


@twin
def test_packed_sequences_are_asked_and_converted(torch, rng):
    packed = torch.nn.utils.rnn.pack_sequence([rng(3), rng(2)])
    types = [getattr(packed, name)().data.dtype for name in ("double", "float", "half", "long", "int", "short", "char", "byte")]
    return packed.is_cuda, packed.is_pinned(), list(map(str, types)), raised(packed.cuda), raised(packed.pin_memory)


@pytest.mark.parametrize("lengths", [[3, 2], [3, 2, 1], [2, 3], [0, 0], [[1, 2]], 2, [2.5, 1]])
@either
def test_lengths_of_packed_sequences(torch, rng, lengths):
    return tuple(torch.nn.utils.rnn.pack_padded_sequence(rng(3, 2, 1), lengths))


@twin
def test_recurrent_networks_name_their_weights(torch, rng):
    networks = [torch.nn.GRU(1, 2, 2), torch.nn.LSTM(2, 3, bidirectional=True, proj_size=1), torch.nn.RNN(1, 1, bias=False)]
    return [(network._flat_weights_names, len(network._flat_weights)) for network in networks]


INDICES = {
    "np.True_": lambda t: np.True_,
    "a tuple of np.True_": lambda t: (np.True_,),
    "a list of NumPy's bools": lambda t: [np.True_, np.False_, np.True_],
    "True": lambda t: True,
    "int8": lambda t: t.tensor([0, 1], dtype=t.int8),
    "int8 of no dimension": lambda t: t.tensor(1, dtype=t.int8),
    "int16": lambda t: t.tensor([0, 1], dtype=t.int16),
    "int32": lambda t: t.tensor([0, 1], dtype=t.int32),
    "int8 of NumPy": lambda t: np.array([0, 1], dtype="int8"),
    "an int8 of NumPy": lambda t: np.int8(1),
    "float": lambda t: 1.0,
    "floats": lambda t: [0.0, 1.0],
}


@pytest.mark.parametrize("name", INDICES)
@either
def test_kinds_of_indices(torch, rng, name):
    x, index = torch.arange(3), INDICES[name](torch)
    y = x.clone()
    return raised(lambda: x[index]), raised(lambda: y.__setitem__(index, 9)), y, x[index]


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(7, 4), (3, 9), (2, 2), (5, 11), (40, 40)])
@pytest.mark.parametrize("antialias", [False, True])
@either
def test_bytes_are_interpolated(torch, rng, mode, size, antialias):
    image = rng.tensor(np.random.default_rng(1).integers(0, 256, (2, 3, 5, 6)), "uint8")
    corners = None if mode.startswith("nearest") or antialias else True
    found = [torch.nn.functional.interpolate(image, size=size, mode=mode, antialias=antialias)]
    return [*found, torch.nn.functional.interpolate(image, size=size, mode=mode, align_corners=corners)]


@twin
def test_a_histogram_has_a_hundred_bins(torch, rng):
    return torch.histogram(torch.arange(5.0), density=True)


@twin
def test_channels_last_of_an_empty_tensor(torch, rng):
    made = (
        torch.empty(1, 2, 3, 3, memory_format=torch.channels_last),
        torch.empty(1, 2, 3, 3, 3, memory_format=torch.channels_last_3d),
    )
    return [one.stride() for one in made]


@twin
def test_cuda_answers_as_a_build_without_it(torch, rng):
    cuda = torch.cuda
    quiet = [cuda.manual_seed(1), cuda.manual_seed_all(1), cuda.seed(), cuda.seed_all(), cuda.empty_cache()]
    facts = [cuda.is_available(), cuda.device_count(), cuda.is_initialized(), cuda.is_bf16_supported(), cuda.get_arch_list()]
    numbers = [cuda.memory_allocated(), cuda.max_memory_allocated(), cuda.memory_reserved(), cuda.get_rng_state_all()]
    needs = [cuda.init, cuda.synchronize, cuda.current_device, cuda.get_device_name, cuda.mem_get_info, cuda.current_stream]
    return quiet, facts, numbers, [raised(action) for action in needs], hasattr(torch.nn.Module, "cuda")


@twin
def test_a_device_is_a_context(torch, rng):
    with torch.device("cpu") as device:
        made = torch.zeros(1)
    return made, str(device)


@twin
def test_the_data_of_a_parameter_without_a_shape_is_empty(torch, rng):
    layer = torch.nn.LazyLinear(2)
    layer.weight.data.normal_(0, 0.01)
    return layer.weight.data, type(layer.weight.data).__name__


@pytest.mark.parametrize("key", ["a", "x.y", "", 1, None])
@either
def test_keys_of_a_dictionary_of_parameters(torch, rng, key):
    found = torch.nn.ParameterDict()
    found[key] = torch.nn.Parameter(torch.zeros(1))
    return list(found.keys()), list(dict(found.named_parameters())), key in found
