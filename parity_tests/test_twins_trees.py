"""Trees of containers: functions of `utils._pytree` besides flattening and mapping (see `test_twins_names`)."""

import importlib
from collections import OrderedDict, defaultdict, deque, namedtuple

import pytest

from parity_tests.twin import outcome, twin

Pair = namedtuple("Pair", "first second")
TREES = {
    "a leaf": 3,
    "nested": {"a": [1, 2.5, (None, "x")], "b": Pair(4, {"c": 5})},
    "ordered": OrderedDict(z=1, a=[2, 3]),
    "counted": defaultdict(list, k=[1]),
    "a queue": deque([1, (2, 3)], maxlen=4),
    "empty": [(), {}, []],
}


def pytree_of(torch):
    return importlib.import_module(f"{torch.__name__}.utils._pytree")


@pytest.mark.parametrize("name", TREES)
@twin
def test_questions_about_leaves(torch, rng, name):
    tree, t = TREES[name], pytree_of(torch)
    return (
        t.tree_all(lambda leaf: leaf is not None, tree),
        t.tree_any(lambda leaf: leaf == 2, tree),
        t.tree_all_only(int, lambda leaf: leaf > 1, tree),
        t.tree_any_only(int, lambda leaf: leaf > 4, tree),
        t.tree_map_only(int, lambda leaf: leaf + 10, tree),
        t.tree_leaves(tree),
    )


@pytest.mark.parametrize("name", TREES)
@twin
def test_paths_to_leaves(torch, rng, name):
    tree, t = TREES[name], pytree_of(torch)
    pairs, spec = t.tree_flatten_with_path(tree)
    paths = [(t.keystr(path), leaf, t.key_get(tree, path)) for path, leaf in pairs]
    mapped = t.tree_map_with_path(lambda path, leaf, other: (t.keystr(path), leaf, other), tree, tree)
    return paths, mapped, spec.num_leaves


@twin
def test_a_leaf_for_all_of_its_part(torch, rng):
    t = pytree_of(torch)
    spec = t.tree_structure({"a": [1, 2], "b": 3})
    trees = ({"a": 0, "b": 1}, 7, {"a": [5, 6], "b": 1}, {"a": [5], "b": 1}, [1, 2], {"b": 1, "a": 2})
    return [outcome(lambda tree=tree: t._broadcast_to_and_flatten(tree, spec)) for tree in trees]


@twin
def test_changing_leaves_in_place(torch, rng):
    t, seen = pytree_of(torch), []
    tree = {"a": [1, "x"], "b": 2}
    return t.tree_map_only_(int, seen.append, tree) is tree, seen, t.tree_map_(seen.append, tree) is tree, seen


@twin
def test_shapes_are_nodes(torch, rng):
    t = pytree_of(torch)
    leaves, spec = t.tree_flatten([rng(2, 3).shape, 4])
    found = t.tree_map(lambda size: size + 1, rng(2, 3).shape)
    return leaves, spec.num_leaves, t.tree_unflatten(leaves, spec), type(found).__name__, t.tree_flatten_with_path(found)[0]
