"""A census: torch has every public name of mini_dl, with the same parameters. Prints the distance to torch."""

from __future__ import annotations

import functools
import inspect
import re
import types
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.utils.prune

import mini_dl
from mini_dl._signatures import signature_behind
from mini_dl.standins.tables import section
from parity_tests import bridge

NAMESPACES = (
    "",
    "Tensor",
    "nn",
    "nn.functional",
    "nn.init",
    "nn.utils",
    "nn.utils.rnn",
    "nn.utils.parametrize",
    "nn.utils.parametrizations",
    "nn.utils.prune",
    "nn.utils.stateless",
    "func",
    "linalg",
    "special",
    "fft",
    "optim",
    "optim.lr_scheduler",
    "optim.swa_utils",
    "autograd",
    "autograd.functional",
    "autograd.graph",
    "utils.data",
    "random",
    "masked",
    "signal.windows",
    "distributions",
    "distributions.constraints",
    "distributions.constraint_registry",
    "distributions.transforms",
    "distributions.utils",
    "distributions.kl",
)
OWN = {"namespace", "annotations", "__slotnames__"}  # public by location, but not part of the interface; the last by copyreg


def public(where: Any) -> Iterator[tuple[str, Any]]:
    """The names a namespace itself provides: neither modules nor names imported from a layer below."""
    listed = getattr(where, "__all__", None)
    for name, value in inspect.getmembers(where):
        if (name.startswith("_") and not (name.startswith("__") and isinstance(where, type))) or name in OWN:
            continue
        home = getattr(value, "__module__", None) or ""
        if isinstance(value, types.ModuleType) or home.split(".")[0] in (
            "typing",
            "collections",
            "abc",
            "functools",
            "contextlib",
        ):
            continue
        if listed is None and where.__name__.startswith("mini_dl.") and home != where.__name__ and not isinstance(where, type):
            continue
        if listed is None or name in listed:
            yield name, value


def place(library: Any, path: str) -> Any:
    return functools.reduce(lambda here, part: getattr(here, part, None), path.split(".") if path else [], library)


@functools.cache
def schemas() -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for schema in torch._C._jit_get_all_schemas():
        namespace, _, name = schema.name.partition("::")
        if namespace == "aten":
            found[name].append(schema)
    return found


RENAMED = {"self": "input", "from_": "from"}
UNUSED = {"dtype", "layout", "device", "pin_memory", "out", "generator", "memory_format", "names", "requires_grad", "input"}


def words(**lists: str) -> dict[str, set[str]]:
    return {path.replace("__", "."): set(names.split()) for path, names in lists.items()}


# Names that torch does not have in that place, and signatures known to differ: exactly these.
# A difference that disappears must be removed.
EXTRA = words(
    Tensor="bucketize rsub",
    nn__init="lsuv_ random_walk_",  # ours: two rules of papers, for whole modules
    optim__lr_scheduler="LambdaOption",  # ours: a schedule for any option of the groups
)
OTHERWISE = {
    "": set("Generator embedding_renorm_ enable_grad gru lstm result_type rnn_relu rnn_tanh typename".split())
    | (
        LINALG := set("cholesky_inverse cholesky_solve matrix_exp matrix_power orgqr ormqr triangular_solve".split())
    ),  # A, B, L, tau: the names in the manual instead of those in the schemas
    **words(
        Tensor="lu to",
        nn__functional="elu_",
        autograd="backward enable_grad",
        linalg="cholesky cholesky_ex cond eig eigh eigvals eigvalsh householder_product ldl_factor ldl_factor_ex lstsq "
        "matrix_exp matrix_norm matrix_power matrix_rank norm pinv solve_triangular tensorinv tensorsolve vector_norm",
        special="airy_ai hermite_polynomial_h hermite_polynomial_he laguerre_polynomial_l legendre_polynomial_p "
        "scaled_modified_bessel_k0 scaled_modified_bessel_k1 spherical_bessel_j0 "
        + " ".join([f"{kind}chebyshev_polynomial_{letter}" for kind in ("", "shifted_") for letter in "tuvw"]),
    ),
}
OTHERWISE["Tensor"] |= LINALG
Parameters = tuple[tuple[str, ...], dict[str, bool]]  # names in order, and whether each has a default


def of_python(function: Any) -> Parameters | None:
    try:
        parameters = signature_behind(function).parameters.values()
    except (TypeError, ValueError):
        return None
    plain = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return tuple(p.name for p in plain), {p.name: p.default is not p.empty for p in plain}


def of_schema(schema: Any) -> Parameters:
    names = [(argument.name, argument.has_default_value()) for argument in schema.arguments]
    return tuple(name for name, _ in names), dict(names)


def accepted(path: str, name: str, theirs: Any) -> list[Parameters]:
    """The parameter lists torch accepts."""
    python = of_python(theirs)
    if python is not None:
        return [python]
    wanted = {"linalg": f"linalg_{name}", "special": f"special_{name}", "fft": f"fft_{name}"}.get(path, name)
    return [of_schema(schema) for schema in schemas().get(wanted, [])]


def differences(path: str, name: str, ours: Any, theirs: Any) -> str | None:
    """Why a call that torch accepts would not be accepted here; None if every parameter of one of torch's signatures exists
    here, in torch's order, and mini_dl's additional ones are optional.
    """
    mine = of_python(ours)
    offered = [one for one in accepted(path, name, theirs) if one[0]]
    if mine is None or not offered:
        return None
    names = [RENAMED.get(n, n) for n in mine[0]]
    for torchs, _ in offered:
        wanted = [n for n in (RENAMED.get(n, n) for n in torchs) if n not in UNUSED]
        extra = [n for n, own in zip(names, mine[0]) if n not in wanted and n not in UNUSED and not mine[1][own]]
        if [n for n in names if n in wanted] == wanted and not extra:
            return None
    union = {RENAMED.get(n, n) for torchs, _ in offered for n in torchs}
    if len(offered) > 1 and {n for n, own in zip(names, mine[0]) if not mine[1][own]} <= union and len(set(names) & union) > 1:
        return None  # several overloads in one
    return f"{path}.{name}: {list(mine[0])} instead of {[list(torchs) for torchs, _ in offered][:3]}"


def classes_and_functions(path: str) -> list[tuple[str, Any, Any]]:
    """The names that a namespace defines itself, without those from its tables of names, which remain in it once accessed."""
    mine, theirs = place(mini_dl, path), place(torch, path)
    table = section(path or "torch")
    of_table = table.rows if table is not None else {}
    found = public(mine) if mine is not None else ()
    return [(name, value, getattr(theirs, name, None)) for name, value in found if name not in of_table]


@pytest.mark.parametrize("path", NAMESPACES)
def test_every_name_is_torchs(path: str) -> None:
    if place(mini_dl, path) is None:
        pytest.fail(f"mini_dl has no {path}")
    there = place(torch, path)
    strange = {name for name, _, _ in classes_and_functions(path) if not hasattr(there, name)}
    known = EXTRA.get(path, set())
    assert strange == known, (
        f"torch.{path} does not have {sorted(strange - known)}: give them torch's names, or name them in EXTRA with the reason; "
        f"no longer there: {sorted(known - strange)}"
    )


@pytest.mark.parametrize("path", NAMESPACES)
def test_every_signature_is_torchs(path: str) -> None:
    found = {}
    for name, ours, theirs in classes_and_functions(path):
        if (
            name.startswith("__")
            or theirs is None
            or not callable(ours)
            or (isinstance(ours, type) and not isinstance(theirs, type))
        ):
            continue
        if why := differences(path, name, ours, theirs):
            found[name] = why
    known = OTHERWISE.get(path, set())
    assert set(found) == known, "\n".join(found[name] for name in set(found) - known) + f" no longer: {known - set(found)}"


@pytest.mark.parametrize("path", [p for p in NAMESPACES if p])
def test_defaults_are_torchs(path: str) -> None:
    """If both are Python functions or classes: the same defaults and the same kinds of parameters."""
    found = []
    for name, ours, theirs in classes_and_functions(path):
        if name.startswith("__") or theirs is None or not callable(ours):
            continue
        try:
            a, b = inspect.signature(ours).parameters, inspect.signature(theirs).parameters
        except (TypeError, ValueError):
            continue
        for key in a:
            if key in b:
                mine, wanted = a[key], b[key]
                same = repr(mine.default) == repr(wanted.default) or bridge.name_of(mine.default) == bridge.name_of(
                    wanted.default
                )
                same |= callable(mine.default) and callable(wanted.default)
                same |= type(mine.default).__name__ == type(wanted.default).__name__ == "Generator"
                if not same:
                    found.append(f"{path}.{name}({key}={mine.default!r}) instead of {wanted.default!r}")
    assert not found, "\n" + "\n".join(found)


def test_the_distance_to_torch(capsys: pytest.CaptureFixture[str], counted: Any) -> None:
    """The number of torch's public names that exist here. The numbers are printed; they may only grow."""
    lines = []
    for path in NAMESPACES:
        theirs, mine = place(torch, path), place(mini_dl, path)
        names = [n for n in getattr(theirs, "__all__", None) or [n for n, _ in public(theirs)] if re.match(r"[a-zA-Z]", n)]
        missing = [n for n in names if not hasattr(mine, n)]
        lines.append(f"torch.{path}: {len(names) - len(missing)} of {len(names)} names")
        counted.census[path or "torch"] = {"has": len(names) - len(missing), "of": len(names), "missing": missing}
    with capsys.disabled():
        print("\n" + "\n".join(lines))
    assert len(lines) == len(NAMESPACES)
