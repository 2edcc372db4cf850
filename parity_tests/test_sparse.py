"""Sparse tensors under both libraries: making, printing, operations, gradients, optimizers, files, a graph network."""

from __future__ import annotations

import copy
import io
import pickle

import numpy as np
import pytest
import torch

import mini_dl

LIBRARIES = (torch, mini_dl)
PLACES, VALUES = [[0, 1, 1, 0], [2, 0, 2, 2]], [3.0, 4.0, 5.0, -1.0]


def coo(m, **options):
    return m.sparse_coo_tensor(PLACES, VALUES, (2, 3), **options)


def dense(m, *shape, seed=0):
    return m.tensor(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def described(value):
    """A value as text and numbers."""
    if not hasattr(value, "layout"):
        return [described(each) for each in value] if isinstance(value, (list, tuple)) else value
    kind = str(value.layout), str(value.dtype), tuple(value.shape), value.requires_grad
    if str(value.layout) == "torch.strided":
        return kind, np.round(value.detach().numpy().astype(np.float64), 5).tolist()
    if str(value.layout) == "torch.sparse_coo":
        return kind, value.is_coalesced(), described(value._indices()), described(value._values().detach())
    names = ("crow_indices", "col_indices") if str(value.layout) == "torch.sparse_csr" else ("ccol_indices", "row_indices")
    return kind, [described(getattr(value, name)()) for name in (*names, "values")]


def outcome(program, m):
    try:
        return described(program(m))
    except Exception as error:
        return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins")


def both(program):
    answers = [outcome(program, m) for m in LIBRARIES]
    assert answers[0] == answers[1]
    return answers[0]


UNARY = (
    "abs asin asinh atan atanh ceil deg2rad erf expm1 floor frac isnan isinf log1p neg rad2deg relu round sgn sign sin sinh sqrt "
    "square tan tanh trunc exp cos sigmoid cosh reciprocal log isfinite"
).split()
CALLS = {
    **{f"unary {name}": lambda m, s, d, name=name: getattr(m, name)(s * 0.2) for name in UNARY},
    "dense + s": lambda m, s, d: d + s,
    "s + dense": lambda m, s, d: s + d,
    "s + s": lambda m, s, d: s + s * 2,
    "coalesced + coalesced": lambda m, s, d: s.coalesce() + (s * 3).coalesce(),
    "alpha": lambda m, s, d: m.add(d, s, alpha=3),
    "dense - s": lambda m, s, d: d - s,
    "s - s": lambda m, s, d: s - s,
    "s * dense": lambda m, s, d: s * d,
    "dense * s": lambda m, s, d: d * s,
    "s * s": lambda m, s, d: s.coalesce() * s.coalesce(),
    "s * 2": lambda m, s, d: s * 2,
    "2 * s": lambda m, s, d: 2 * s,
    "s / 2": lambda m, s, d: s / 2,
    "s / dense": lambda m, s, d: s / d,
    "s + 1": lambda m, s, d: s + 1,
    "s ** 2": lambda m, s, d: s**2,
    "-s": lambda m, s, d: -s,
    "s @ dense": lambda m, s, d: s @ d.t(),
    "dense @ s": lambda m, s, d: d.t() @ s,
    "s @ s": lambda m, s, d: s @ s.t(),
    "s @ vector": lambda m, s, d: s @ d[0],
    "mv": lambda m, s, d: m.mv(s, d[0]),
    "mm": lambda m, s, d: m.mm(s, d.t()),
    "spmm": lambda m, s, d: m.spmm(s, d.t()),
    "sparse.mm": lambda m, s, d: m.sparse.mm(s, d.t()),
    "sparse.mm of two": lambda m, s, d: m.sparse.mm(s, s.t()),
    "addmm": lambda m, s, d: m.addmm(m.ones(2, 2), s, d.t(), beta=2, alpha=3),
    "sparse.addmm": lambda m, s, d: m.sparse.addmm(m.ones(2, 2), s, d.t(), beta=0.5),
    "mm of other sizes": lambda m, s, d: s @ d,
    "sampled_addmm": lambda m, s, d: m.sparse.sampled_addmm(s.to_sparse_csr(), d @ d.t(), d, beta=0.5, alpha=2),
    "linear": lambda m, s, d: m.nn.functional.linear(d, s.coalesce()),
    "sum": lambda m, s, d: s.sum(),
    "sum 0": lambda m, s, d: m.sparse.sum(s, 0),
    "sum 1": lambda m, s, d: m.sparse.sum(s, [1]),
    "sum all": lambda m, s, d: m.sparse.sum(s, [0, 1]),
    "sparse.sum": lambda m, s, d: m.sparse.sum(s),
    "softmax 0": lambda m, s, d: m.sparse.softmax(s, 0),
    "softmax 1": lambda m, s, d: m.sparse.softmax(s, 1),
    "log_softmax": lambda m, s, d: m.sparse.log_softmax(s, 1),
    "t": lambda m, s, d: s.t(),
    "transpose": lambda m, s, d: s.transpose(0, 1).coalesce(),
    "cat": lambda m, s, d: m.cat([s, s * 2], 1),
    "stack": lambda m, s, d: m.stack([s, s]),
    "unsqueeze": lambda m, s, d: s.unsqueeze(1),
    "index_select": lambda m, s, d: s.index_select(0, m.tensor([1, 1, 0])).to_dense(),
    "select": lambda m, s, d: s[1],
    "element": lambda m, s, d: s[1, 2],
    "zeros_like": lambda m, s, d: m.zeros_like(s),
    "sparse_mask": lambda m, s, d: d.sparse_mask(s.coalesce()),
    "to_dense": lambda m, s, d: s.to_dense(),
    "coalesce": lambda m, s, d: s.coalesce(),
    "values": lambda m, s, d: s.values(),
    "indices": lambda m, s, d: s.coalesce().indices(),
    "csr": lambda m, s, d: s.to_sparse_csr(),
    "csc": lambda m, s, d: s.to_sparse_csc(),
    "double": lambda m, s, d: s.double(),
    "int": lambda m, s, d: s.to(m.int32),
    "clone": lambda m, s, d: s.clone(),
    "numpy": lambda m, s, d: s.numpy(),
    "view": lambda m, s, d: s.view(3, 2),
    "eq": lambda m, s, d: s == s,
    "mean": lambda m, s, d: s.mean(),
    "max": lambda m, s, d: s.max(),
    "gelu": lambda m, s, d: m.nn.functional.gelu(s),
    "where": lambda m, s, d: m.where(d > 0, s, d),
    "norm": lambda m, s, d: s.norm(),
    "bool": lambda m, s, d: bool(s),
    "item": lambda m, s, d: s.item(),
    "tolist": lambda m, s, d: s.tolist(),
    "numbers": lambda m, s, d: [s.dim(), s.numel(), s._nnz(), s.sparse_dim(), s.dense_dim(), len(s), s.is_sparse, s.size(1)],
    "dense numbers": lambda m, s, d: [d.sparse_dim(), d.dense_dim(), d.is_sparse, str(d.layout)],
    "dense values": lambda m, s, d: d.values(),
    "dense crow": lambda m, s, d: d.crow_indices(),
    "add_": lambda m, s, d: [d.clone().add_(s, alpha=2), s.clone().mul_(2)],
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings("ignore")
def test_calls_with_coordinates(name):
    both(lambda m: CALLS[name](m, coo(m), dense(m, 2, 3)))


WITH_ROWS = (
    "s * 2", "-s", "s @ dense", "dense @ s", "s @ vector", "sparse.mm", "sum", "to_dense", "double", "clone", "numpy",
    "values", "s + s", "t", "unary sin", "unary relu", "addmm", "sparse.addmm", "view", "max",
)  # fmt: skip


@pytest.mark.parametrize("name", WITH_ROWS)
@pytest.mark.filterwarnings("ignore")
def test_calls_with_compressed_rows(name):
    both(lambda m: CALLS[name](m, m.sparse_csr_tensor([0, 1, 3], [2, 0, 2], VALUES[:3], (2, 3)), dense(m, 2, 3)))


MAKING = {
    "no size": lambda m: m.sparse_coo_tensor(PLACES, VALUES),
    "no values": lambda m: m.sparse_coo_tensor((2, 3)),
    "hybrid": lambda m: m.sparse_coo_tensor([[0, 2]], m.ones(2, 3), (4, 3)),
    "hybrid dense": lambda m: m.sparse_coo_tensor([[0, 2, 2]], m.ones(3, 3), (4, 3)).to_dense(),
    "hybrid sum": lambda m: [m.sparse.sum(m.sparse_coo_tensor([[0, 2, 2]], m.ones(3, 3), (4, 3)), d) for d in (0, 1)],
    "of integers": lambda m: m.sparse_coo_tensor(PLACES, [1, 2, 3, 4], (2, 3)),
    "of another type": lambda m: m.sparse_coo_tensor(PLACES, VALUES, (2, 3), dtype=m.float64),
    "negative index": lambda m: m.sparse_coo_tensor([[0, -1]], [1.0, 2.0]),
    "other counts": lambda m: m.sparse_coo_tensor([[0, 1]], [1.0], (2,)),
    "other dimensions": lambda m: m.sparse_coo_tensor([[0, 1]], [1.0, 2.0], (2, 2)),
    "requires grad": lambda m: coo(m, requires_grad=True),
    "from dense": lambda m: m.tensor([[0.0, 1.0], [2.0, 0.0]]).to_sparse(),
    "from dense by rows": lambda m: m.tensor([[0.0, 0.0], [2.0, 0.0]]).to_sparse(1),
    "csr from dense": lambda m: m.tensor([[0.0, 1.0], [2.0, 0.0]]).to_sparse_csr(),
    "csr": lambda m: m.sparse_csr_tensor([0, 1, 2], [0, 1], [1.0, 2.0]),
    "csc": lambda m: m.sparse_csc_tensor([0, 1, 2], [0, 1], [1.0, 2.0], (2, 2)),
    "compressed": lambda m: m.sparse_compressed_tensor([0, 1, 2], [0, 1], [1.0, 2.0], (2, 2), layout=m.sparse_csr),
    "csr to coo": lambda m: m.sparse_csr_tensor([0, 1, 2], [0, 1], [1.0, 2.0]).to_sparse(),
    "copies": lambda m: [copy.deepcopy(coo(m)), copy.copy(coo(m)), pickle.loads(pickle.dumps(coo(m).coalesce()))],
}


@pytest.mark.parametrize("name", MAKING)
@pytest.mark.filterwarnings("ignore")
def test_making(name):
    both(MAKING[name])


SHOWN = {
    "coo": coo, "coalesced": lambda m: coo(m).coalesce(), "leaf": lambda m: coo(m, requires_grad=True),
    "double": lambda m: coo(m).double(), "integers": lambda m: coo(m).to(m.int32), "csr": lambda m: coo(m).to_sparse_csr(),
    "csc": lambda m: coo(m).to_sparse_csc(), "empty": lambda m: m.sparse_coo_tensor((2, 3)),
    "long": lambda m: m.eye(40).to_sparse(), "hybrid": lambda m: m.sparse_coo_tensor([[0, 2]], m.ones(2, 3), (4, 3)),
    "csr double": lambda m: coo(m).double().to_sparse_csr(),
    "empty hybrid": lambda m: m.sparse_coo_tensor(m.zeros(1, 0).long(), m.zeros(0, 2), (3, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.filterwarnings("ignore")
def test_printing(name):
    assert repr(SHOWN[name](mini_dl)) == repr(SHOWN[name](torch))


GRADIENTS = {
    "mm": lambda m, s, d: m.sparse.mm(s, d),
    "matmul": lambda m, s, d: s @ d,
    "addmm": lambda m, s, d: m.sparse.addmm(d[:2, :2], s, d[:, :2]),
    "sum": lambda m, s, d: m.sparse.sum(s) * d.sum(),
    "to_dense": lambda m, s, d: s.to_dense() @ d,
    "times number": lambda m, s, d: (s * 3).to_dense() @ d,
    "coalesce": lambda m, s, d: s.coalesce().values() * d.sum(),
    "softmax": lambda m, s, d: m.sparse.softmax(s, 1).to_dense() @ d,
    "transpose": lambda m, s, d: s.t().to_dense() * d[:, :2],
    "plus dense": lambda m, s, d: d.t()[:2] + s,
}


@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.filterwarnings("ignore")
def test_gradients_to_values_and_dense_operands(name):
    def program(m):
        values, d = m.tensor(VALUES, requires_grad=True), dense(m, 3, 3).requires_grad_()
        s = m.sparse_coo_tensor(PLACES, values, (2, 3))
        result = GRADIENTS[name](m, s, d)
        (result * dense(m, *result.shape, seed=1)).sum().backward()
        return s.requires_grad, s.is_leaf, values.grad, m.zeros(()) if d.grad is None else d.grad

    both(program)


@pytest.mark.filterwarnings("ignore")
def test_a_sparse_leaf_gets_a_gradient_at_its_places():
    def program(m):
        s, d = coo(m, requires_grad=True).coalesce().detach().requires_grad_(), dense(m, 3, 2).requires_grad_()
        (m.sparse.mm(s, d) * dense(m, 2, 2, seed=1)).sum().backward()
        return s.grad.to_dense() * (s.detach().to_dense() != 0), s.grad.is_sparse, d.grad, s.is_leaf

    both(program)


EMBEDDINGS = {
    "plain": lambda m: (m.nn.Embedding(6, 3, sparse=True), ([[1, 4], [4, 0]],)),
    "padding": lambda m: (m.nn.Embedding(6, 3, padding_idx=4, sparse=True), ([[1, 4], [4, 0]],)),
    "bag sum": lambda m: (m.nn.EmbeddingBag(6, 3, mode="sum", sparse=True), ([1, 4, 4, 0], [0, 3])),
    "bag mean": lambda m: (m.nn.EmbeddingBag(6, 3, sparse=True), ([[1, 4], [4, 0]],)),
}
OPTIMIZERS = {
    "SGD": lambda m, p: m.optim.SGD(p, lr=0.1),
    "SGD momentum": lambda m, p: m.optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.1, maximize=True),
    "SGD nesterov": lambda m, p: m.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "SGD decay": lambda m, p: m.optim.SGD(p, lr=0.1, weight_decay=0.1),
    "Adagrad": lambda m, p: m.optim.Adagrad(p, lr=0.1, lr_decay=0.01),
    "Adagrad decay": lambda m, p: m.optim.Adagrad(p, lr=0.1, weight_decay=0.1),
    "SparseAdam": lambda m, p: m.optim.SparseAdam(p, lr=0.1),
    **{name: lambda m, p, name=name: getattr(m.optim, name)(p) for name in (
        "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "RMSprop", "Adadelta", "Rprop", "ASGD", "Adafactor")},
}  # fmt: skip


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_embeddings_with_sparse_gradients(name):
    def program(m):
        m.manual_seed(0)
        table, given = EMBEDDINGS[name](m)
        table.weight.data.copy_(dense(m, 6, 3))
        found = []
        for number in range(2):
            out = table(*[m.tensor(each) for each in given])
            (out * dense(m, *out.shape, seed=number)).sum().backward()
            found.append(table.weight.grad.clone())
        grad = m.autograd.grad((table(*[m.tensor(each) for each in given]) ** 2).sum(), table.weight)[0]
        table.weight.sum().backward()
        mixed = table.weight.grad
        table.zero_grad(set_to_none=False)
        return [each.coalesce() for each in found], grad.coalesce(), mixed, table.weight.grad

    both(program)


@pytest.mark.parametrize("kind", ("plain", "bag mean"))
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_with_sparse_gradients(name, kind):
    def program(m):
        table, given = EMBEDDINGS[kind](m)
        table.weight.data.copy_(dense(m, 6, 3))
        other = m.nn.Linear(3, 1)
        other.weight.data.copy_(dense(m, 1, 3))
        other.bias.data.zero_()
        ours = [table.weight] if name == "SparseAdam" else [table.weight, other.weight]
        optimizer, found = OPTIMIZERS[name](m, ours), []
        for number in range(4):
            optimizer.zero_grad()
            out = other(table(*[m.tensor(each) + (number % 2) for each in given[:1]], *[m.tensor(each) for each in given[1:]]))
            (out * dense(m, *out.shape, seed=number)).sum().backward()
            optimizer.step()
            found.append(table.weight.detach().clone())
        state = io.BytesIO()
        m.save(optimizer.state_dict(), state)
        state.seek(0)
        optimizer.load_state_dict(m.load(state))
        return found, other.weight

    both(program)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("zipped", (True, False))
@pytest.mark.parametrize(("writer", "reader"), [(torch, mini_dl), (mini_dl, torch), (mini_dl, mini_dl)])
def test_files(writer, reader, zipped):
    made = lambda m: [
        coo(m), coo(m).coalesce(), coo(m).to_sparse_csr(), coo(m).to_sparse_csc(), m.sparse_coo_tensor((2, 3)),
        m.sparse_coo_tensor([[0, 2]], m.ones(2, 3), (4, 3)), {"nested": coo(m).double()},
    ]  # fmt: skip
    file = io.BytesIO()
    writer.save(made(writer), file, _use_new_zipfile_serialization=zipped)
    file.seek(0)
    found = reader.load(file)
    assert described(found[:-1]) == described(made(torch)[:-1]) and described(found[-1]["nested"]) == described(
        made(torch)[-1]["nested"]
    )


@pytest.mark.filterwarnings("ignore")
def test_a_sparse_buffer_goes_with_its_module():
    def program(m):
        class Net(m.nn.Module):
            def __init__(self):
                super().__init__()
                self.lin = m.nn.Linear(3, 2)
                parts = m.tensor([[0, 1], [1, 0]]), m.tensor([1.0, 2.0]), m.Size([2, 2])
                self.register_buffer("adjacency", m.sparse.FloatTensor(*parts))

            def forward(self, x):
                return m.sparse.mm(self.adjacency, self.lin(x))

        net, other, file = Net(), Net(), io.BytesIO()
        m.save(net.state_dict(), file)
        file.seek(0)
        other.adjacency = other.adjacency * 5
        other.load_state_dict(m.load(file))
        other(m.ones(2, 3)).sum().backward()
        moved = copy.deepcopy(other).to("cpu").double()
        return (
            other.adjacency, moved.adjacency, other.lin.bias.grad, str(net.adjacency.device), net.adjacency.type(),
            net.adjacency.get_device(), m.sparse.DoubleTensor(2, 3), net.adjacency.new_tensor([1.0]),
        )  # fmt: skip

    both(program)


def graph(m):
    """A ring with chords, normalized as in Kipf and Welling 2017."""
    count = 12
    edges = [(i, (i + 1) % count) for i in range(count)] + [(i, (i + 5) % count) for i in range(0, count, 3)]
    edges += [(b, a) for a, b in edges] + [(i, i) for i in range(count)]
    index = np.array(sorted(set(edges))).T
    degree = np.bincount(index[0], minlength=count)
    weight = (1 / np.sqrt(degree[index[0]] * degree[index[1]])).astype(np.float32)
    return m.sparse_coo_tensor(m.tensor(index), m.tensor(weight), (count, count))


@pytest.mark.parametrize("layout", ("coo", "coalesced", "csr"))
@pytest.mark.filterwarnings("ignore")
def test_a_graph_network_learns_as_in_torch(layout):
    def program(m):
        class Convolution(m.nn.Module):
            def __init__(self, inputs, outputs, seed):
                super().__init__()
                self.weight = m.nn.Parameter(dense(m, inputs, outputs, seed=seed))
                self.bias = m.nn.Parameter(m.zeros(outputs))

            def forward(self, x, adjacency):
                return m.spmm(adjacency, m.mm(x, self.weight)) + self.bias

        class Network(m.nn.Module):
            def __init__(self):
                super().__init__()
                self.first, self.second = Convolution(5, 8, 1), Convolution(8, 3, 2)

            def forward(self, x, adjacency):
                hidden = m.nn.functional.relu(self.first(x, adjacency))
                return m.nn.functional.log_softmax(self.second(hidden, adjacency), dim=1)

        change = {"coo": lambda a: a, "coalesced": lambda a: a.coalesce(), "csr": lambda a: a.to_sparse_csr()}
        adjacency = change[layout](graph(m))
        model, x, labels = Network(), dense(m, 12, 5, seed=3), m.tensor([i % 3 for i in range(12)])
        optimizer, losses = m.optim.Adam(model.parameters(), lr=0.02, weight_decay=5e-4), []
        for _ in range(20):
            optimizer.zero_grad()
            loss = m.nn.functional.nll_loss(model(x, adjacency)[:8], labels[:8])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return np.array(losses)

    theirs, ours = program(torch), program(mini_dl)
    np.testing.assert_allclose(ours, theirs, rtol=2e-4)
    assert ours[-1] < ours[0] / 2


@pytest.mark.parametrize("places", ([[0, 5]], [[0, -1]]))
def test_places_outside_of_the_size_are_refused(places):
    with pytest.raises(RuntimeError, match="for dim 0"):
        mini_dl.sparse_coo_tensor(places, [1.0, 2.0], (2,))
    with pytest.raises(RuntimeError, match="col_indices"):
        mini_dl.sparse_csr_tensor([0, 1, 2], places[0], [1.0, 2.0], (2, 2))


def test_the_gradient_of_a_product_with_a_dense_tensor():
    values, d = mini_dl.tensor(VALUES, requires_grad=True), dense(mini_dl, 2, 3).requires_grad_()
    mini_dl.sparse.sum(mini_dl.sparse_coo_tensor(PLACES, values, (2, 3)) * d).backward()
    assert values.grad.tolist() == [d[i, j].item() for i, j in zip(*PLACES)]
    np.testing.assert_allclose(d.grad.numpy(), coo(mini_dl).to_dense().numpy())


def test_dense_operations_never_see_an_array():
    """Functions without support for sparse tensors raise an error, at any argument position."""
    s, d = coo(mini_dl), mini_dl.ones(2, 3)
    names = [name for name in dir(torch) if callable(getattr(mini_dl, name, None)) and not name.startswith(("_", "set_"))]
    from mini_dl.sparse.tensor import HANDLERS, SparseTensor

    answered = set()
    for name in names:
        function = getattr(mini_dl, name)
        for arguments in ((s,), (d, s), (s, d), ([d, s],)):
            try:
                found = function(*arguments)
            except Exception:
                continue
            if isinstance(found, mini_dl.Tensor) and not isinstance(found, SparseTensor):
                answered.add(name)
    assert answered <= {*HANDLERS, "zeros_like", "result_type", "is_tensor", "empty_like", "sym_sum"}, answered - set(HANDLERS)
