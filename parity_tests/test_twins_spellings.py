"""Old spellings, and those of other libraries, that programs still use."""

from __future__ import annotations

import importlib
import tempfile
import warnings

import numpy as np
import pytest

from parity_tests.twin import either, message, outcome, raised, twin

M = "ones(2, 2)"
V = "ones(2)"
B = "ones(1, 2, 2)"
NUMBER_FIRST = [
    f"torch.{V}.add_(-0.5, torch.{V})", f"torch.{V}.add(2, torch.{V})", f"torch.add(torch.{V}, 2, torch.{V})",
    f"torch.{V}.sub_(2, torch.{V})", f"torch.sub(torch.{V}, 3, torch.{V})", f"torch.{V}.addcmul_(2, torch.{V}, torch.{V})",
    f"torch.addcmul(torch.{V}, 0.5, torch.{V}, torch.{V})", f"torch.{V}.addcdiv_(-2.0, torch.{V}, torch.{V} * 4)",
    f"torch.addcdiv(torch.{V}, 2, torch.{V}, torch.{V})", f"torch.addmm(2, torch.{M}, 3, torch.{M}, torch.{M})",
    f"torch.addmm(2, torch.{M}, torch.{M}, torch.{M})", f"torch.{M}.addmm_(2, torch.{M}, torch.{M})",
    f"torch.{M}.addmm(2, 3, torch.{M}, torch.{M})", f"torch.{V}.addmv_(2, 3, torch.{M}, torch.{V})",
    f"torch.addmv(2, torch.{V}, 3, torch.{M}, torch.{V})", f"torch.{M}.addr_(2, 3, torch.{V}, torch.{V})",
    f"torch.addr(2, torch.{M}, torch.{V}, torch.{V})", f"torch.addbmm(2, torch.{M}, 3, torch.{B}, torch.{B})",
    f"torch.{M}.addbmm_(2, 3, torch.{B}, torch.{B})", f"torch.{B}.baddbmm_(2, torch.{B}, torch.{B})",
    f"torch.baddbmm(2, torch.{B}, 3, torch.{B}, torch.{B})",
]  # fmt: skip


@twin
@pytest.mark.parametrize("call", NUMBER_FIRST)
def test_numbers_between_the_tensors(torch, rng, call):
    return eval(call, {"torch": torch})


@twin
def test_calls_with_too_many_arguments_are_still_refused(torch, rng):
    x, m = rng(2), rng(2, 2)
    calls = (
        lambda: x.add(1, 2, 3),
        lambda: torch.add(x, x, x),
        lambda: x.add_(x, 2),
        lambda: torch.addmm(m, m, m, m),
        lambda: m.addmm_(1, 2, 3, m, m),
        lambda: torch.addcmul(x, x, x, x),
        lambda: torch.add(1, 2, x, x),
    )
    return [raised(call) for call in calls]


@twin
def test_numbers_between_the_tensors_are_recorded(torch, rng):
    x, y = rng(3, grad=True), rng(3, grad=True)
    z = x.add(0.5, y).addcmul(2, x, y)
    z.backward(rng(3))
    return x.grad, y.grad


@twin
def test_a_gradient_for_the_inputs_only(torch, rng):
    x = rng(3, grad=True)
    return [torch.autograd.grad((x * x).sum(), x, only_inputs=only) for only in (True, False)]


@twin
def test_variables(torch, rng):
    from_torch = importlib.import_module(f"{torch.__name__}.autograd")
    Variable = from_torch.Variable
    x = rng(3, grad=True)
    y = x * 2
    v = Variable(y)
    v.fill_(1.0)
    calls = (
        lambda: Variable([1.0]),
        lambda: Variable(3),
        lambda: Variable(x, volatile=True),
        lambda: Variable(),
        lambda: Variable(rng(2), requires_grad=True),
        lambda: Variable(rng(2), True).requires_grad,
        lambda: Variable(torch.ones(2, dtype=torch.int64), requires_grad=True),
        lambda: Variable(x, volatile=True, requires_grad=True),
    )
    return (
        v.requires_grad,
        v.is_leaf,
        y,
        isinstance(x, Variable),
        isinstance(3, Variable),
        isinstance(torch.nn.Parameter(v), Variable),
        type(v) is torch.Tensor,
        [outcome(call) for call in calls],
        from_torch.variable.Variable is Variable,
    )


@twin
def test_types_of_tensors(torch, rng):
    warnings.simplefilter("ignore")  # torch warns of storages once
    x = rng(2, 3)
    calls = (
        lambda: x.type("torch.DoubleTensor"),
        lambda: x.type(torch.LongTensor),
        lambda: x.type("torch.Nonsense"),
        lambda: x.type("torch.cuda.FloatTensor"),
        lambda: x.type("Float"),
        lambda: torch.FloatTensor([1, 2]),
        lambda: torch.LongTensor([[1], [2]]),
        lambda: torch.FloatTensor(2, 3).shape,
        lambda: torch.FloatTensor(torch.Size([2])).shape,
        lambda: torch.FloatTensor(np.ones(2, np.float32)),
        lambda: torch.FloatTensor(rng(2)).sum(),
        lambda: torch.LongTensor(rng(2)),
        lambda: torch.ByteTensor([True, False]),
        lambda: torch.FloatTensor(torch.FloatStorage([1, 2])),
    )
    facts = (
        isinstance(x, torch.FloatTensor),
        isinstance(x, torch.LongTensor),
        isinstance(x.long(), torch.LongTensor),
        x.type(),
        torch.FloatTensor.is_cuda,
        torch.FloatTensor.dtype,
        torch.FloatTensor.__name__,
        torch.FloatTensor.__module__,
        torch.FloatTensor.layout,
        repr(torch.FloatTensor),
        isinstance(x, torch.LongTensor | None),
        isinstance(None, torch.LongTensor | None),
    )
    return [outcome(call) for call in calls], facts


@twin
def test_storages(torch, rng):
    warnings.simplefilter("ignore")  # torch warns only for some calls
    x = torch.arange(6.0).reshape(2, 3)
    s, part = x.storage(), x[1:].storage()
    s[1] = 7
    facts = (
        len(s),
        s.size(),
        s[0],
        s.tolist(),
        part.tolist(),
        s.dtype,
        s.element_size(),
        s.nbytes(),
        list(s),
        s.is_cuda,
        s.data_ptr() == x.data_ptr() == part.data_ptr(),
        [isinstance(a._cdata, int) for a in (x, s, s.untyped())],
        (x._cdata == x._cdata, x._cdata == x[:]._cdata, s._cdata == part._cdata, s._cdata == x.clone().storage()._cdata),
        x[1:].storage_offset(),
        type(s).__name__,
        repr(s),
        repr(s.untyped())[-60:],
        isinstance(s, torch.FloatStorage),
        isinstance(s, torch.LongStorage),
        torch.is_storage(s),
        torch.is_storage(x),
        s.type(),
        x.storage_type() is torch.FloatStorage,
        torch.FloatStorage(3).size(),
        torch.LongStorage([1, 2]).tolist(),
        len(torch.UntypedStorage(3)),
        x.untyped_storage().element_size(),
        x.untyped_storage().resize_(24).nbytes(),
    )
    s.fill_(2)
    return facts, x, torch.ones(2).set_(s), s.clone().tolist(), s.copy_(torch.FloatStorage([1, 2, 3, 4, 5, 6])).tolist(), x


@twin
def test_modules_of_several_devices_on_one(torch, rng):
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())
    parallel = torch.nn.DataParallel(model, device_ids=[0, 1], output_device=0, dim=1)
    x = rng(4, 3)
    state = {name[7:]: value for name, value in parallel.state_dict().items()}
    model.load_state_dict(state)
    return (
        list(parallel.state_dict()),
        parallel.device_ids,
        parallel.module is model,
        bool((parallel(x) == model(x)).all()),
        repr(parallel),
        message(lambda: torch.nn.parallel.data_parallel(model, x))[0],
        hasattr(parallel, "dim"),
    )


@twin
def test_a_container_of_modules(torch, rng):
    made = torch.nn.Container(first=torch.nn.ReLU(), second=torch.nn.Linear(2, 1))
    return repr(made), list(made.state_dict())


@twin
def test_tuples_of_numbers(torch, rng):
    utils = importlib.import_module(f"{torch.__name__}.nn.modules.utils")
    state = {"module.a": 1, "b": 2}
    utils.consume_prefix_in_state_dict_if_present(state, "module.")
    return (
        utils._single(3),
        utils._pair(3),
        utils._pair([3, 4]),
        utils._triple("abc"),
        utils._quadruple(1.5),
        utils._ntuple(2)((1, 2)),
        utils._pair.__name__,
        utils._ntuple(5)(0),
        utils._reverse_repeat_tuple((1, 2), 2),
        utils._list_with_default([None, 3], [5, 6, 7]),
        utils._list_with_default(3, [4]),
        raised(lambda: utils._list_with_default([1, 2], [3])),
        state,
        utils.__all__,
    )


@twin
def test_a_state_with_metadata_loses_the_prefix_there_too(torch, rng):
    utils = importlib.import_module(f"{torch.__name__}.nn.modules.utils")
    state = torch.nn.DataParallel(torch.nn.Sequential(torch.nn.BatchNorm1d(1))).state_dict()
    utils.consume_prefix_in_state_dict_if_present(state, "module.")
    return list(state), list(state._metadata.items())


@twin
@pytest.mark.parametrize("family", ["pooling", "padding", "conv", "batchnorm", "dropout", "loss", "instancenorm"])
def test_families_of_modules_are_found_by_their_bases(torch, rng, family):
    file = importlib.import_module(f"{torch.__name__}.nn.modules.{family}")
    bases = {
        "pooling": "_MaxPoolNd _MaxUnpoolNd _AvgPoolNd _LPPoolNd _AdaptiveMaxPoolNd _AdaptiveAvgPoolNd",
        "padding": "_CircularPadNd _ConstantPadNd _ReflectionPadNd _ReplicationPadNd",
        "conv": "_ConvNd _ConvTransposeNd",
        "batchnorm": "_NormBase _BatchNorm",
        "dropout": "_DropoutNd",
        "loss": "_Loss _WeightedLoss",
        "instancenorm": "_InstanceNorm",
    }
    classes = {name: value for name, value in vars(torch.nn).items() if isinstance(value, type) and name[0].isupper()}
    missing = {
        "BCEWithLogitsLoss",
        "MultiMarginLoss",
        "HuberLoss",
        "GaussianNLLLoss",
        "TripletMarginWithDistanceLoss",
        "CTCLoss",
        "LinearCrossEntropyLoss",
    }
    return {
        base: sorted([n for n, cls in classes.items() if issubclass(cls, getattr(file, base)) and n not in missing])
        for base in bases[family].split()
    }


@twin
def test_what_programs_take_from_torchs_files(torch, rng):
    of = lambda name: importlib.import_module(f"{torch.__name__}.{name}")
    transformer, rnn, module, reduction = (
        of("nn.modules.transformer"),
        of("nn.modules.rnn"),
        of("nn.modules.module"),
        of("nn._reduction"),
    )
    layer = torch.nn.Linear(2, 2)
    clones = transformer._get_clones(layer, 3)
    flat = of("_utils")._flatten_dense_tensors([torch.ones(2), torch.zeros(1, 3)])
    return (
        repr(clones),
        clones[0] is not layer,
        transformer._get_activation_fn("gelu")(torch.ones(1)),
        raised(lambda: transformer._get_activation_fn("none")),
        transformer._generate_square_subsequent_mask(3),
        rnn.apply_permutation(torch.arange(6.0).reshape(2, 3), torch.tensor([2, 0, 1])),
        module._addindent("a\nb", 4),
        [reduction.get_enum(name) for name in ("none", "mean", "sum")],
        raised(lambda: reduction.get_enum("max")),
        reduction.legacy_get_string(False, None),
        reduction.legacy_get_enum(None, False, emit_warning=False),
        flat,
        of("_utils")._unflatten_dense_tensors(flat, [torch.ones(2), torch.zeros(1, 3)]),
    )


@twin
@pytest.mark.parametrize("n", [1, 2, 3])
def test_gradients_of_convolutions_as_functions(torch, rng, n):
    grad = importlib.import_module(f"{torch.__name__}.nn.grad")
    shape = (6, 5, 7)[:n]
    x, w = rng(2, 4, *shape, grad=True), rng(6, 2, *[3] * n, grad=True)
    options = {"stride": 2, "padding": 1, "groups": 2}
    y = getattr(torch.nn.functional, f"conv{n}d")(x, w, **options)
    g = rng(*y.shape)
    y.backward(g)
    of_input = getattr(grad, f"conv{n}d_input")(x.shape, w, g, **options)
    of_weight = getattr(grad, f"conv{n}d_weight")(x, w.shape, g, **options)
    return x.grad, of_input, w.grad, of_weight


@either
@pytest.mark.parametrize("size", [1, 5, 12, 13])
@pytest.mark.parametrize("drop_last", [False, True])
def test_parts_of_a_dataset(torch, rng, size, drop_last):
    Sampler = importlib.import_module(f"{torch.__name__}.utils.data.distributed").DistributedSampler
    found = []
    for rank in range(4):
        for shuffle in (False, True):
            sampler = Sampler(range(size), num_replicas=4, rank=rank, shuffle=shuffle, seed=3, drop_last=drop_last)
            sampler.set_epoch(2)
            found.append((list(sampler), len(sampler), sampler.total_size))
    return found, raised(lambda: Sampler(range(3), num_replicas=2, rank=2)), torch.utils.data.DistributedSampler is Sampler


@twin
def test_old_optimizers(torch, rng):
    from_torch = importlib.import_module(f"{torch.__name__}.optim.optimizer")

    class Plain(from_torch.Optimizer):
        def __init__(self, params, lr=from_torch.required, betas=(0.9, 0.999)):
            super().__init__(params, {"lr": lr, "betas": betas})

        @from_torch._use_grad_for_differentiable
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    state = self.state[p]
                    if len(state) == 0:
                        state["step"], state["mean"] = 0, torch.zeros_like(p.data)
                    state["step"] += 1
                    state["mean"].mul_(group["betas"][0]).add_(1 - group["betas"][0], p.grad.data)
                    p.data.add_(-group["lr"] * from_torch._get_value(torch.tensor(0.5)), state["mean"])

    x = rng(3, grad=True)
    optimizer = Plain([x], lr=0.1, betas=(0.5, 0.9)) if "differentiable" not in vars(Plain) else None
    optimizer.defaults["differentiable"] = False
    for _ in range(3):
        optimizer.zero_grad()
        (x * x).sum().backward()
        optimizer.step()
    groups = optimizer._group_tensors_by_device_and_dtype([[x, x.double()], [x * 2, None], []], with_indices=True)
    return x, raised(lambda: Plain([x])), sorted([(str(k[1]), v[1]) for k, v in groups.items()]), repr(optimizer)


@twin
def test_a_storage_from_a_file(torch, rng):
    with tempfile.TemporaryDirectory() as folder:
        name = f"{folder}/values.bin"
        np.arange(8, dtype=np.float32).tofile(name)
        found = []
        for shared in (False, True):
            storage = torch.UntypedStorage.from_file(name, shared, 16)
            x = torch.empty(0).set_(storage)
            x[0] = 9
            found.append((x, len(storage), np.fromfile(name, np.float32).tolist()))
        return found
