"""A program over tensors: a line that is wrong ends with ``# error``, and what is revealed ends with ``# is <type>``."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from typing_extensions import reveal_type

import mini_dl as torch
from mini_dl import Tensor

# ------------------------------------------------------------------------------------------------ making tensors

a = torch.zeros(2, 3)
b = torch.ones(2, 3, dtype=torch.float64)
c = torch.empty(1)
d = torch.zeros((2, 3), device="cpu", requires_grad=True)
e = torch.from_numpy(np.zeros(3))
f = torch.tensor([[1, 2], [3, 4]], dtype=torch.float32)
g = torch.arange(10)
h = torch.arange(0, 1, 0.1)
i = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
j = torch.randint(0, 10, (2, 3))
k = torch.full((2, 3), 1.5)
m = torch.eye(3)
n = torch.linspace(0, 1, steps=5)
o = torch.zeros_like(a)
p = torch.rand(*a.shape)
q = torch.zeros(a.shape)
r = torch.zeros([2, 3])
s = torch.randint(10, (3,))
t = torch.normal(0.0, 1.0, (2, 2))
u = torch.full_like(a, 2)
v = torch.as_tensor([1.0, 2.0])
w = torch.randperm(4)
aa = torch.empty_like(a, dtype=torch.int64)
ab = torch.tensor(3.0)
ac = torch.stack([a, a]).sum()

torch.zeros("2")  # error
torch.zeros(2, 3, dtype="float32")  # error
torch.ones(2, 3, requires_grad="yes")  # error
torch.tensor()  # error
torch.zeross(2)  # error
torch.arange("a")  # error
torch.eye("3")  # error
torch.full((2, 3))  # error

reveal_type(a)  # is Tensor
reveal_type(g)  # is Tensor
reveal_type(i)  # is Tensor
reveal_type(o)  # is Tensor
reveal_type(a.shape)  # is Size
reveal_type(a.shape[0])  # is int
reveal_type(a.dtype)  # is dtype
reveal_type(a.device)  # is device

# ------------------------------------------------------------------------------------------------ operations

x = torch.randn(4, 4, requires_grad=True)
y = x * 2 + 1 - x / 3
z = 2.0 - x
y = torch.mul(y, 2.0)
y = torch.add(x, y, alpha=2)
y = x @ x.T
y = torch.exp(x).log().relu_()
y = x.sum(dim=0, keepdim=True)
y = x.view(2, 8).reshape(-1).unsqueeze(0)
y = x.permute(1, 0).transpose(0, 1).contiguous()
y = x[0]
y = x[:, 1:3]
y = x[..., None]
y = x[x > 0]
y = x[[0, 1]]
x.data[0] = 1.0
y = -x
y = abs(x)
y = x**2
y = torch.cat([x, x], dim=1)
y = torch.where(x > 0, x, 0.0)
y = torch.clamp(x, min=0)
y = x.clamp(0, 1)
y = torch.einsum("ij,jk->ik", x, x)
y = x.to(torch.float64).to("cpu")
y = x.to(device="cpu", dtype=torch.float32)
y = x.expand(2, 4, 4).repeat(1, 2, 1)
values, indices = x.max(dim=1)
values, indices = torch.sort(x, descending=True)
top = x.topk(2)
first, second = torch.split(x, 2)
rows, columns = x.size(0), x.size()
number: float = x.sum().item()
array: np.ndarray[Any, Any] = x.detach().numpy()
y = x.new_zeros(2, 3)
y = x.std() + x.var(dim=0)
y = torch.linalg.norm(x)
y = torch.fft.fft(x).abs()
y = torch.special.expit(x)
both = torch.unique(x, return_counts=True)
for row in x:
    y = row
total = sum([x, x])
flag: bool = torch.allclose(x, x)
inside = bool((x > 0).all())
length = len(x)
x.backward(torch.ones(4, 4))
handle = x.register_hook(lambda grad: grad * 2)
handle.remove()
x.requires_grad_(False).zero_()
buffer = io.BytesIO()
torch.save({"x": x}, buffer)
loaded = torch.load(buffer, weights_only=True)
with torch.no_grad():
    y = x * 2
torch.manual_seed(0)
torch.set_default_dtype(torch.float32)
kind = torch.float32.is_floating_point


@torch.no_grad()
def double(value: Tensor) -> Tensor:
    return value * 2


x.summ()  # error
x.view("a", 2)  # error
x + "a"  # error
x.sum(dim="rows")  # error
torch.cat(1)  # error
torch.exp("x")  # error
torch.exp(x, x)  # error
torch.softmax(x, dimension=1)  # error
x["a"]  # error
count: str = x.item()  # error
x.reshape({2, 2})  # error
torch.matmul(x)  # error
torch.linalg.norm()  # error
torch.fft.fft("x")  # error
double("a")  # error
words: str = x.size(0)  # error
x.shape.summ  # error
x.backward("x")  # error

reveal_type(x + 1)  # is Tensor
reveal_type(1 - x)  # is Tensor
reveal_type(x @ x)  # is Tensor
reveal_type(x == x)  # is Tensor
reveal_type(x[0])  # is Tensor
reveal_type(x.sum())  # is Tensor
reveal_type(x.grad)  # is Tensor | None
reveal_type(x.size())  # is Size
reveal_type(x.size(0))  # is int
reveal_type(x.item())  # is float | int
reveal_type(x.tolist())  # is list[Any]
reveal_type(x.max())  # is Tensor
reveal_type(x.max(dim=0).values)  # is Tensor
reveal_type(torch.sort(x))  # is sort
reveal_type(torch.topk(x, 2).indices)  # is Tensor
reveal_type(torch.where(x > 0, x, 0.0))  # is Tensor
reveal_type(torch.split(x, 2))  # is tuple[Tensor, ...]
reveal_type(torch.linalg.svd(x).S)  # is Tensor
reveal_type(torch.fft.fft(x))  # is Tensor
reveal_type(torch.allclose(x, x))  # is bool
reveal_type(double(x))  # is Tensor
reveal_type(torch.einsum("ij,jk->ik", x, x))  # is Tensor
reveal_type(torch.nn.functional.relu(x))  # is Tensor
reveal_type(torch.get_default_dtype())  # is dtype
reveal_type(x.unbind())  # is tuple[Tensor, ...]
reveal_type(x.stride())  # is tuple[int, ...]
reveal_type(torch.nonzero(x, as_tuple=True))  # is tuple[Tensor, ...]
reveal_type(x.requires_grad)  # is bool
reveal_type(torch.autograd.grad(y.sum(), x))  # is tuple[Tensor, ...]
reveal_type(torch.load(buffer))  # is Any
