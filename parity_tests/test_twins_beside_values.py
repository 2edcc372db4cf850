"""What a call shows beside its values: layouts in memory, identities of gradients, histories, refusals of overlapping memory."""

from __future__ import annotations

import warnings

import pytest

from parity_tests.twin import raised, twin

TRANSFORMS = """
fft.fft(x) fft.fft(x,dim=1) fft.fft(z,dim=0) fft.fft(z.mT) fft.fft(x.mT,dim=1) fft.fft(z[...,::2]) fft.ifft(x,dim=1)
fft.ifft(z.mT,dim=0) fft.fft2(x) fft.fft2(z,dim=(0,2)) fft.fft2(x,dim=(2,0)) fft.fftn(z.permute(2,0,1)) fft.fftn(x.mT,dim=(0,2))
fft.fftn(z,dim=(1,)) fft.rfft(x,dim=0) fft.rfft(x.mT) fft.rfft2(x.mT) fft.rfft2(x,dim=(2,0)) fft.rfftn(x.permute(1,2,0))
fft.irfft(z,dim=1) fft.irfft2(z,dim=(1,0)) fft.irfftn(z.mT) fft.hfft(z,dim=1) fft.hfft2(z,dim=(1,0)) fft.hfftn(z.mT)
fft.ihfft(x,dim=1) fft.ihfft2(x,dim=(2,1)) fft.ihfftn(x.mT) fft.fft(x[:1].expand(5,3,4),dim=1) fft.fft(x,n=7,dim=1)
fft.rfft(x,n=2,dim=1) fft.fftshift(x.mT)
"""
INDICES = """
nonzero(x) nonzero(x.mT) nonzero(x[:1].expand(3,3,4)) argwhere(x) argwhere(x.mT) nonzero(x,as_tuple=True)[1]
where(x>0)[1] nonzero_static(x,size=3) count_nonzero(x.mT,dim=0) count_nonzero(x[:1].expand(5,3,4),dim=1)
count_nonzero(x.permute(2,0,1),dim=1) unique(x[0].sign(),dim=1) unique(x.sign(),dim=2) unique_consecutive(x.sign(),dim=1)
"""


@pytest.mark.parametrize("call", [*TRANSFORMS.split(), *INDICES.split()])
@twin
def test_the_layout_of_a_result(torch, rng, call):
    names = {name: getattr(torch, name) for name in ("fft", *(one.partition("(")[0] for one in INDICES.split()))}
    out = eval(call, {**names, "x": rng(2, 3, 4), "z": rng(2, 3, 4, dtype="complex64")})
    return out, out.stride(), out.is_contiguous()


SUMS = """
a+b a-b a+b+a torch.add(a,b,alpha=2) a.clone()+b.clone() a.view(3)+b.view(3) torch.cat([a,b]) torch.addcmul(a,b,b)
a.clone().add_(b) torch.addmv(a,eye,b) torch.addmv(a,eye,b,beta=2) torch.addmm(a[None],b[None],eye) torch.addr(eye,a,b,alpha=2)+a
torch.addbmm(a[None],b[None,None],eye[None]) torch.baddbmm(a[None,None],b[None,None],eye[None]) a.expand(2,3)+b torch.rsub(a,b)
torch.fmod(a,b) a.sum()+b.sum() a.double()+b.double()
"""


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("call", SUMS.split())
@twin
def test_which_gradients_are_one_tensor(torch, rng, call, create_graph):
    a, b = rng(3, grad=True), rng(3, grad=True)
    out = eval(call, {"torch": torch, "a": a, "b": b, "eye": torch.eye(3)})
    start = torch.ones_like(out)
    grads = torch.autograd.grad(out, [a, b, a], start, create_graph=create_graph)
    found = [*grads, start]
    return [(one is other, one.data_ptr() == other.data_ptr()) for one in found for other in found]


@twin
def test_a_write_to_one_gradient_is_seen_in_the_other_if_they_are_one(torch, rng):
    a, b = rng(3, grad=True), rng(3, grad=True)
    first, second = torch.autograd.grad(a + b, [a, b], torch.ones(3))
    first.add_(1)
    (a + b).backward(first)
    a.grad.add_(1)
    return first, second, a.grad, b.grad


WRITES = (
    "cumprod_(0) cumsum_(0) pow_(y) exp_() sqrt_() sigmoid_() tanh_() scatter_reduce_(0,i,y,'amax') scatter_reduce_(0,i,y,'prod')"
)


@pytest.mark.parametrize("second", ["add_(1)", "cumprod_(0)", "exp_()", "zero_()"])
@pytest.mark.parametrize("first", WRITES.split())
@twin
def test_a_second_write_to_what_the_first_has_kept(torch, rng, first, second):
    """The result that the derivative reads is the tensor itself."""
    x, y = rng(4).abs().add_(0.5).requires_grad_(), rng(4, grad=True)
    z, names = x * 1, {"y": y, "i": torch.tensor([0, 1, 1, 3])}
    eval(f"z.{first}", {"z": z, **names})
    eval(f"z.{second}", {"z": z, **names})
    failed = raised(lambda: z.sum().backward())
    return failed, z._version, None if failed == "RuntimeError" else x.grad


DISTINCT = "unique(x) unique(x,dim=0) unique_consecutive(x) unique_consecutive(x,dim=1) unique(x,return_counts=True)[0]"


@pytest.mark.parametrize("call", DISTINCT.split())
@twin
def test_distinct_values_have_a_history_without_a_derivative(torch, rng, call):
    x = rng(2, 3, grad=True)
    out = eval(call, {"unique": torch.unique, "unique_consecutive": torch.unique_consecutive, "x": x})
    with torch.no_grad():
        plain = eval(call, {"unique": torch.unique, "unique_consecutive": torch.unique_consecutive, "x": x})
    return out, type(out.grad_fn).__name__, raised(lambda: out.sum().backward()), plain.requires_grad


PARTS = {
    "a row": lambda x: x[0],
    "another row": lambda x: x[1],
    "a column": lambda x: x[:, 0],
    "part of a row": lambda x: x[0, :3],
    "the end of a row": lambda x: x[1, 1:],
    "across rows": lambda x: x.view(-1)[3:6],
    "an element": lambda x: x[0, 0],
    "the whole": lambda x: x,
}


@pytest.mark.parametrize("other", PARTS)
@pytest.mark.parametrize("one", PARTS)
@twin
def test_outputs_over_operands(torch, rng, one, other):
    """Whether each is refused; values only where torch writes nothing that it still reads."""
    first, second = PARTS[one], PARTS[other]

    def attempt(call):
        x = torch.arange(12.0).reshape(3, 4)
        return raised(lambda: call(x))

    pairs = [
        attempt(lambda x: torch.aminmax(x, dim=0, out=(first(x), second(x))) if first(x).shape == second(x).shape == (4,) else 0),
        attempt(lambda x: torch.aminmax(x, out=(first(x), second(x))) if first(x).ndim == second(x).ndim == 0 else 0),
        attempt(
            lambda x: torch.linalg.cross(first(x), x[2, 1:], out=second(x)) if first(x).shape == second(x).shape == (3,) else 0
        ),
        attempt(
            lambda x: torch.cross(first(x), x[2, 1:], dim=0, out=second(x)) if first(x).shape == second(x).shape == (3,) else 0
        ),
    ]
    z = torch.view_as_complex(torch.arange(12.0).reshape(6, 2))
    whole = torch.view_as_real(z).view(3, 4)
    part = first(whole)
    if 0 < part.numel() <= 6:
        target = z[: part.numel()].view(part.shape)
        pairs += [raised(lambda function=f: function(part, part.clone(), out=target)) for f in (torch.complex, torch.polar)]
    return pairs


@pytest.mark.parametrize(
    "function", ["index_reduce", "index_add", "index_copy", "scatter", "scatter_add", "scatter_reduce", "put"]
)
@twin
def test_an_index_out_of_range_is_one_kind_of_error(torch, rng, function):
    places, more = [torch.tensor([7]), torch.tensor([-3]), torch.tensor([2])], ["prod"] if function.endswith("reduce") else []
    leading = [] if function == "put" else [0]
    call = lambda x, index: getattr(x, function)(*leading, index, torch.ones(1), *more)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [raised(lambda index=index: call(torch.ones(2), index)) for index in places]


@twin
def test_weighted_sums_of_nothing_take_any_number(torch, rng):
    half, wide = torch.ones(2, dtype=torch.float16), torch.ones(2, 0, dtype=torch.float16)
    made = torch.addmv(half, wide, wide[0], beta=1e5)
    return made, raised(lambda: torch.addmv(half, torch.ones(2, 2, dtype=torch.float16), half, beta=1e5))
