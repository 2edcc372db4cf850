"""Trees of containers: flatten them into leaves, map over the leaves, and rebuild them.

Lists, tuples, named tuples, shapes, dictionaries, `OrderedDict`, `defaultdict` and `deque` are nodes, and so are registered
classes; everything else is a leaf. Dictionary keys keep their order.
"""

from __future__ import annotations

import dataclasses
import enum
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from mini_dl.tensor import Size

PyTree = Any
Context = Any
Leaf = Callable[[Any], bool] | None


class SequenceKey(NamedTuple):
    """The path to an element of a list or tuple."""

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx!r}]"

    def get(self, sequence: Any) -> Any:
        """The element."""
        return sequence[self.idx]


class MappingKey(NamedTuple):
    """The path to a value of a dictionary."""

    key: Any

    def __str__(self) -> str:
        return f"[{self.key!r}]"

    def get(self, mapping: Any) -> Any:
        """The value."""
        return mapping[self.key]


class GetAttrKey(NamedTuple):
    """The path to an attribute."""

    name: str

    def __str__(self) -> str:
        return f".{self.name}"

    def get(self, obj: object) -> Any:
        """The attribute."""
        return getattr(obj, self.name)


class NodeDef(NamedTuple):
    """How to flatten and unflatten a class of nodes."""

    type: type
    flatten_fn: Callable[[Any], tuple[list[Any], Any]]
    unflatten_fn: Callable[[Iterable[Any], Any], Any]
    flatten_with_keys_fn: Callable[[Any], tuple[list[tuple[Any, Any]], Any]] | None


SUPPORTED_NODES: dict[type, NodeDef] = {}
BUILTIN_TYPES: frozenset[type]
_CONSTANTS: set[type] = set()


def register_pytree_node(
    cls: type, flatten_fn: object, unflatten_fn: object, *, serialized_type_name: str | None = None,
    to_dumpable_context: object = None, from_dumpable_context: object = None, flatten_with_keys_fn: object = None,
) -> None:  # fmt: skip
    """Make instances of `cls` nodes: ``flatten_fn(node)`` gives (children, context), ``unflatten_fn(children, context)`` a node.

    ValueError if `cls` is already registered.
    """
    if cls in SUPPORTED_NODES:
        raise ValueError(f"{cls} is already registered as pytree node.")
    _register_pytree_node(cls, flatten_fn, unflatten_fn, flatten_with_keys_fn=flatten_with_keys_fn)


def _register_pytree_node(cls: type, flatten_fn: Any, unflatten_fn: Any, *rest: object, **options: Any) -> None:
    SUPPORTED_NODES[cls] = NodeDef(cls, flatten_fn, unflatten_fn, options.get("flatten_with_keys_fn"))


_private_register_pytree_node = _register_pytree_node


def _deregister_pytree_node(cls: type) -> None:
    SUPPORTED_NODES.pop(cls, None)


def register_dataclass(
    cls: type, *, field_names: list[str] | None = None, drop_field_names: list[str] | None = None,
    serialized_type_name: str | None = None,
) -> None:  # fmt: skip
    """Make instances of a dataclass nodes whose children are its fields."""
    names = field_names or [field.name for field in dataclasses.fields(cls) if field.init]
    kept = [name for name in names if name not in (drop_field_names or [])]

    def flatten(obj: object) -> tuple[list[Any], Any]:
        present = [name for name in kept if getattr(obj, name) is not None]
        absent = [name for name in kept if getattr(obj, name) is None]
        return [getattr(obj, name) for name in present], (present, absent)

    def unflatten(values: Iterable[Any], context: Any) -> Any:
        present, absent = context
        return cls(**dict(zip(present, values)), **dict.fromkeys(absent))

    def with_keys(obj: object) -> Any:
        values, context = flatten(obj)
        return [(GetAttrKey(name), value) for name, value in zip(context[0], values)], context

    register_pytree_node(cls, flatten, unflatten, flatten_with_keys_fn=with_keys)


def register_constant(cls: type) -> None:
    """Make instances of `cls` nodes without children."""
    _CONSTANTS.add(cls)
    _register_pytree_node(cls, lambda obj: ([], obj), lambda _, obj: obj, flatten_with_keys_fn=lambda obj: ([], obj))


def is_constant_class(cls: type) -> bool:
    """Whether `register_constant` was called for `cls`."""
    return cls in _CONSTANTS


# ------------------------------------------------------------------------------------------------ built-in nodes


def is_namedtuple_class(cls: Any) -> bool:
    """Whether `cls` was created by ``namedtuple``, or derives from such a class."""
    if not (isinstance(cls, type) and issubclass(cls, tuple)):
        return False
    fields = getattr(cls, "_fields", None)
    return isinstance(fields, tuple) and all([type(name) is str for name in fields])


def is_namedtuple(obj: object) -> bool:
    """Whether `obj` is a named tuple, or a named tuple class."""
    return is_namedtuple_class(obj if isinstance(obj, type) else type(obj))


def is_namedtuple_instance(obj: object) -> bool:
    """Whether `obj` is a named tuple."""
    return is_namedtuple_class(type(obj))


_is_namedtuple_instance = is_namedtuple_instance


def _sequence_keys(flatten: Any) -> Any:
    def with_keys(obj: Any) -> Any:
        values, context = flatten(obj)
        return [(SequenceKey(i), value) for i, value in enumerate(values)], context

    return with_keys


def _mapping_keys(obj: Any) -> Any:
    context = SUPPORTED_NODES[type(obj)].flatten_fn(obj)[1]
    return [(MappingKey(key), value) for key, value in obj.items()], context


def _namedtuple_keys(obj: Any) -> Any:
    return [(GetAttrKey(name), value) for name, value in zip(obj._fields, obj)], type(obj)


def _list(obj: Any) -> Any:
    return list(obj), None


def _dict(obj: Any) -> Any:
    return list(obj.values()), list(obj.keys())


_dict_flatten, _list_flatten, _tuple_flatten = _dict, _list, _list


def _dict_unflatten(values: Iterable[Any], context: Any) -> dict[Any, Any]:
    return dict(zip(context, values))


def _list_unflatten(values: Iterable[Any], context: object) -> list[Any]:
    return list(values)


def _tuple_unflatten(values: Iterable[Any], context: object) -> tuple[Any, ...]:
    return tuple(values)


def _defaultdict(obj: Any) -> Any:
    return list(obj.values()), [obj.default_factory, list(obj.keys())]


def _deque(obj: Any) -> Any:
    return list(obj), obj.maxlen


_dict_flatten_with_keys = _mapping_keys
_list_flatten_with_keys = _tuple_flatten_with_keys = _sequence_keys(_list)

_register_pytree_node(tuple, _list, _tuple_unflatten, flatten_with_keys_fn=_sequence_keys(_list))
_register_pytree_node(Size, _list, _tuple_unflatten, flatten_with_keys_fn=_sequence_keys(_list))
_register_pytree_node(list, _list, _list_unflatten, flatten_with_keys_fn=_sequence_keys(_list))
_register_pytree_node(dict, _dict, _dict_unflatten, flatten_with_keys_fn=_mapping_keys)
_register_pytree_node(OrderedDict, _dict, lambda values, keys: OrderedDict(zip(keys, values)), flatten_with_keys_fn=_mapping_keys)
_register_pytree_node(
    defaultdict,
    _defaultdict,
    lambda values, context: defaultdict(context[0], zip(context[1], values)),
    flatten_with_keys_fn=_mapping_keys,
)
_register_pytree_node(
    deque, _deque, lambda values, maxlen: deque(values, maxlen=maxlen), flatten_with_keys_fn=_sequence_keys(_deque)
)
_NAMEDTUPLE = NodeDef(tuple, lambda obj: (list(obj), type(obj)), lambda values, kind: kind(*values), _namedtuple_keys)
BUILTIN_TYPES = frozenset((tuple, list, dict, OrderedDict, defaultdict, deque))
STANDARD_DICT_TYPES: frozenset[type] = frozenset((dict, OrderedDict, defaultdict))


def _node(tree: Any, is_leaf: Leaf) -> NodeDef | None:
    """How to flatten `tree`, or None for a leaf."""
    if is_leaf is not None and is_leaf(tree):
        return None
    known = SUPPORTED_NODES.get(type(tree))
    return _NAMEDTUPLE if known is None and is_namedtuple_instance(tree) else known


def _get_node_type(tree: Any) -> Any:
    return tuple if is_namedtuple_instance(tree) and type(tree) not in SUPPORTED_NODES else type(tree)


def is_structseq_instance(obj: object) -> bool:
    """Whether `obj` is a structure of the standard library, such as ``time.struct_time``."""
    return isinstance(obj, tuple) and isinstance(getattr(type(obj), "n_sequence_fields", None), int)


def tree_is_leaf(tree: Any, is_leaf: Leaf = None) -> bool:
    """Whether `tree` is a leaf."""
    return _node(tree, is_leaf) is None


_is_leaf = tree_is_leaf


# ------------------------------------------------------------------------------------------------ structures


class TreeSpec:
    """The structure of a tree: the class of its root, how to rebuild it, and the structures of its children."""

    def __init__(self, type: Any, context: Any = None, children_specs: Iterable[TreeSpec] = ()) -> None:
        self.type, self._context, self._children = type, context, list(children_specs)
        self.num_children = len(self._children)
        self.num_leaves: int = 1 if type is None else sum([child.num_leaves for child in self._children])
        self.num_nodes: int = 1 + sum([child.num_nodes for child in self._children])

    @property
    def context(self) -> Any:
        return self._context

    @property
    def children_specs(self) -> list[TreeSpec]:
        return self._children

    def children(self) -> list[TreeSpec]:
        """The structures of the children."""
        return list(self._children)

    def child(self, index: int) -> TreeSpec:
        """The structure of one child."""
        return self._children[index]

    def is_leaf(self) -> bool:
        """Whether it is the structure of a leaf."""
        return self.type is None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TreeSpec):
            return NotImplemented
        return self.type is other.type and self._context == other._context and self._children == other._children

    def __hash__(self) -> int:
        return hash((self.type, str(self._context), tuple(self._children)))

    def __repr__(self, indent: int = 0) -> str:
        if self.is_leaf():
            return "*"
        children = [child.__repr__(indent + 2) for child in self._children]
        return f"TreeSpec({self.type.__name__}, {self._context}, [{(',' + chr(10) + ' ' * (indent + 2)).join(children)}])"

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        """The tree of this structure with these leaves. ValueError if their number does not match."""
        given = list(leaves)
        if len(given) != self.num_leaves:
            raise ValueError(
                f"treespec.unflatten(leaves): `leaves` has length {len(given)} but the spec refers to a pytree that holds "
                f"{self.num_leaves} items ({self})."
            )
        return self._built(iter(given))

    def _built(self, leaves: Iterator[Any]) -> Any:
        if self.is_leaf():
            return next(leaves)
        known = _NAMEDTUPLE if is_namedtuple_class(self.type) and self.type not in SUPPORTED_NODES else SUPPORTED_NODES[self.type]
        return known.unflatten_fn([child._built(leaves) for child in self._children], self._context)

    def flatten_up_to(self, tree: Any) -> list[Any]:
        """The parts of `tree` where this structure has leaves. ValueError if it does not begin with it."""
        if self.is_leaf():
            return [tree]
        known = _node(tree, None)
        kind = type(tree)
        dicts = self.type in STANDARD_DICT_TYPES and kind in STANDARD_DICT_TYPES
        if known is None or (kind is not self.type and not dicts):
            raise ValueError(f"Node type mismatch; expected {self.type!r}, but got {kind!r}.")
        children, context = known.flatten_fn(tree)
        if len(children) != self.num_children:
            raise ValueError(f"Node arity mismatch; expected {self.num_children!r}, but got {len(children)!r}.")
        if dicts:
            keys = self._context if self.type is not defaultdict else self._context[1]
            if set(keys) != set(tree):
                raise ValueError("Node keys mismatch; " + repr(list(tree)) + " are not " + repr(list(keys)))
            children = [tree[key] for key in keys]
        elif context != self._context and self.type is not deque:
            raise ValueError(f"Node context mismatch for custom node type {self.type!r}.")
        return [part for child, spec in zip(children, self._children) for part in spec.flatten_up_to(child)]


def LeafSpec() -> TreeSpec:
    """The structure of a leaf."""
    return TreeSpec(None)


treespec_leaf = LeafSpec
_LEAF_SPEC = TreeSpec(None)


def treespec_tuple(iterable: Iterable[TreeSpec] = (), /) -> TreeSpec:
    """The structure of a tuple of trees of these structures."""
    return TreeSpec(tuple, None, list(iterable))


def treespec_dict(mapping: Any = (), /, **kwargs: TreeSpec) -> TreeSpec:
    """The structure of a dictionary of trees of these structures."""
    found = dict(mapping, **kwargs)
    return TreeSpec(dict, list(found), list(found.values()))


# ------------------------------------------------------------------------------------------------ flattening


def tree_flatten(tree: Any, is_leaf: Leaf = None) -> tuple[list[Any], TreeSpec]:
    """The leaves of a tree and its structure.

    >>> tree_flatten({"a": [1, 2], "b": 3})
    ([1, 2, 3], TreeSpec(dict, ['a', 'b'], [TreeSpec(list, None, [*, *]), *]))
    """
    leaves: list[Any] = []
    return leaves, _flattened(tree, leaves, is_leaf)


def _flattened(tree: Any, leaves: list[Any], is_leaf: Leaf) -> TreeSpec:
    known = _node(tree, is_leaf)
    if known is None:
        leaves.append(tree)
        return _LEAF_SPEC
    children, context = known.flatten_fn(tree)
    return TreeSpec(type(tree), context, [_flattened(child, leaves, is_leaf) for child in children])


def tree_unflatten(leaves: Iterable[Any], treespec: TreeSpec) -> Any:
    """The tree with this structure and these leaves."""
    if not isinstance(treespec, TreeSpec):
        raise TypeError(f"tree_unflatten(leaves, treespec): Expected `treespec` to be instance of TreeSpec but got item of type {type(treespec)}.")  # fmt: skip  # noqa: E501
    return treespec.unflatten(leaves)


def tree_iter(tree: Any, is_leaf: Leaf = None) -> Iterator[Any]:
    """An iterator over the leaves."""
    known = _node(tree, is_leaf)
    if known is None:
        yield tree
    else:
        for child in known.flatten_fn(tree)[0]:
            yield from tree_iter(child, is_leaf)


def tree_leaves(tree: Any, is_leaf: Leaf = None) -> list[Any]:
    """The leaves of a tree."""
    return list(tree_iter(tree, is_leaf))


def tree_structure(tree: Any, is_leaf: Leaf = None) -> TreeSpec:
    """The structure of a tree."""
    return tree_flatten(tree, is_leaf)[1]


def arg_tree_leaves(*args: object, **kwargs: object) -> list[Any]:
    """The leaves of all arguments."""
    return [leaf for one in (*args, *kwargs.values()) for leaf in tree_iter(one)]


# ------------------------------------------------------------------------------------------------ mapping


def tree_map(func: Callable[..., Any], tree: Any, *rests: object, is_leaf: Leaf = None) -> Any:
    """The tree of ``func(leaf, ...)``, for trees that begin with the same structure.

    >>> tree_map(lambda x, y: x + y, {"a": [1, 2]}, {"a": [10, 20]})
    {'a': [11, 22]}
    """
    leaves, spec = tree_flatten(tree, is_leaf)
    columns = [leaves, *[spec.flatten_up_to(rest) for rest in rests]]
    return spec.unflatten([func(*row) for row in zip(*columns)])


def tree_map_(func: Callable[..., Any], tree: Any, *rests: object, is_leaf: Leaf = None) -> Any:
    """Call `func` for the leaves, and return the tree unchanged."""
    leaves, spec = tree_flatten(tree, is_leaf)
    for row in zip(leaves, *[spec.flatten_up_to(rest) for rest in rests]):
        func(*row)
    return tree


def _chosen(what: Any) -> Callable[[Any], bool]:
    """Whether a leaf has the type, one of several types, or satisfies a predicate."""
    if isinstance(what, (type, tuple)) or hasattr(what, "__args__"):
        return lambda leaf: isinstance(leaf, what)
    if callable(what):
        return what
    raise TypeError("Argument must be a type, a tuple of types, or a callable.")


def map_only(type_or_types_or_pred: object, /) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """A decorator: the function maps leaves of this type, or that satisfy the predicate; others are unchanged."""
    chosen = _chosen(type_or_types_or_pred)
    return lambda function: lambda leaf: function(leaf) if chosen(leaf) else leaf


def tree_map_only(type_or_types_or_pred: Any, /, func: Any, tree: Any, is_leaf: Leaf = None) -> Any:
    """`tree_map` over the leaves of a type, or those that satisfy a predicate."""
    return tree_map(map_only(type_or_types_or_pred)(func), tree, is_leaf=is_leaf)


def tree_map_only_(type_or_types_or_pred: Any, /, func: Any, tree: Any, is_leaf: Leaf = None) -> Any:
    """`tree_map_` over the leaves of a type, or those that satisfy a predicate."""
    return tree_map_(map_only(type_or_types_or_pred)(func), tree, is_leaf=is_leaf)


def tree_all(pred: Callable[[Any], bool], tree: Any, is_leaf: Leaf = None) -> bool:
    """Whether all leaves satisfy the predicate."""
    return all(map(pred, tree_iter(tree, is_leaf)))


def tree_any(pred: Callable[[Any], bool], tree: Any, is_leaf: Leaf = None) -> bool:
    """Whether one of the leaves satisfies the predicate."""
    return any(map(pred, tree_iter(tree, is_leaf)))


def tree_all_only(type_or_types: Any, /, pred: Any, tree: Any, is_leaf: Leaf = None) -> bool:
    """Whether all leaves of the type satisfy the predicate."""
    return all([pred(leaf) for leaf in tree_iter(tree, is_leaf) if isinstance(leaf, type_or_types)])


def tree_any_only(type_or_types: Any, /, pred: Any, tree: Any, is_leaf: Leaf = None) -> bool:
    """Whether one of the leaves of the type satisfies the predicate."""
    return any([pred(leaf) for leaf in tree_iter(tree, is_leaf) if isinstance(leaf, type_or_types)])


def _broadcast_to_and_flatten(tree: Any, treespec: TreeSpec, is_leaf: Leaf = None) -> list[Any] | None:
    """The leaves of `tree`, each repeated for all leaves that `treespec` has in its place; None if it does not match."""
    leaves, prefix = tree_flatten(tree, is_leaf)
    try:
        parts = prefix.flatten_up_to(treespec.unflatten([0] * treespec.num_leaves))
    except ValueError:
        return None
    return [leaf for leaf, part in zip(leaves, parts) for _ in tree_iter(part, is_leaf)]


# ------------------------------------------------------------------------------------------------ paths


def _with_paths(path: tuple[Any, ...], tree: Any, is_leaf: Leaf) -> Iterator[tuple[tuple[Any, ...], Any]]:
    known = _node(tree, is_leaf)
    if known is None:
        yield path, tree
        return
    if known.flatten_with_keys_fn is None:
        raise ValueError(
            f"Did not find a flatten_with_keys_fn for type: {type(tree)}. Please pass a flatten_with_keys_fn argument to "
            "register_pytree_node."
        )
    for key, child in known.flatten_with_keys_fn(tree)[0]:
        yield from _with_paths((*path, key), child, is_leaf)


def tree_leaves_with_path(tree: Any, is_leaf: Leaf = None) -> list[tuple[tuple[Any, ...], Any]]:
    """Pairs (path, leaf)."""
    return list(_with_paths((), tree, is_leaf))


def tree_flatten_with_path(tree: Any, is_leaf: Leaf = None) -> tuple[list[tuple[tuple[Any, ...], Any]], TreeSpec]:
    """Pairs (path, leaf), and the structure."""
    return tree_leaves_with_path(tree, is_leaf), tree_structure(tree, is_leaf)


def tree_map_with_path(func: Callable[..., Any], tree: Any, *rests: object, is_leaf: Leaf = None) -> Any:
    """The tree of ``func(path, leaf, ...)``."""
    pairs, spec = tree_flatten_with_path(tree, is_leaf)
    columns = [spec.flatten_up_to(rest) for rest in rests]
    return spec.unflatten([func(path, leaf, *row) for (path, leaf), *row in zip(pairs, *columns)])


def keystr(kp: tuple[Any, ...]) -> str:
    """The path to a leaf as text, such as ``['a'][0]``."""
    return "".join(map(str, kp))


def key_get(obj: object, kp: tuple[Any, ...]) -> Any:
    """The value at the end of the path."""
    for key in kp:
        obj = key.get(obj)
    return obj


def enum_object_hook(obj: dict[str, Any]) -> enum.Enum | dict[str, Any]:
    """The object itself: structures are not written as JSON here."""
    return obj
