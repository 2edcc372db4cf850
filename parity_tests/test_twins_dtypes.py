"""Types: the full matrix of promotion, casts, result types, under both libraries."""

from __future__ import annotations

import operator

import pytest

from parity_tests.twin import outcome, twin

DTYPES = "bool uint8 int8 int16 int32 int64 float16 float32 float64 complex64 complex128".split()
NUMBERS = {"True": True, "3": 3, "2.5": 2.5, "1j": 1j}
OPERATORS = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "truediv": operator.truediv,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "pow": operator.pow,
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
    "lshift": operator.lshift,
    "rshift": operator.rshift,
}
FUNCTIONS = (
    "maximum minimum fmax fmin atan2 hypot fmod remainder logical_and logical_or logical_xor dot mv matmul bmm cat stack where "
    "float_power copysign logaddexp xlogy heaviside gcd lcm true_divide floor_divide bitwise_and isclose lerp addcmul addcdiv "
    "cross inner outer kron"
).split()
UNARY = (
    "neg abs sign exp log sqrt sin tanh "
    " sigmoid floor ceil round trunc reciprocal square sum prod mean cumsum cumprod max min argmax "
    "logical_not bitwise_not isnan isfinite softmax relu var norm median sort all any conj real imag angle erf expm1 log1p rsqrt "
    "nan_to_num positive frac logit digamma count_nonzero amax amin argmin flip diff nansum logsumexp std"
).split()


def partners(dtype):
    """float16 with a complex type would be complex32, which NumPy lacks."""
    alone = {"float16": "complex", "complex64": "float16", "complex128": "float16"}.get(dtype, "none")
    return [other for other in DTYPES if not other.startswith(alone)]


def numbers(dtype):
    """float16 with a complex number would be complex32, which NumPy lacks."""
    return [(text, number) for text, number in NUMBERS.items() if (dtype, text) != ("float16", "1j")]


def made(torch, dtype, *shape):
    return torch.full(shape, 2, dtype=getattr(torch, dtype))


def kind(result):
    """The visible part of a result: type, shape, and the value if it is a single number."""
    if isinstance(result, (tuple, list)):
        return [kind(item) for item in result]
    return (str(result.dtype), tuple(result.shape)) if hasattr(result, "dtype") else type(result).__name__


def pairs(torch, shapes):
    """Two tensors of every pair of types in these pairs of shapes, and a text that tells them apart."""
    for a in DTYPES:
        for b in partners(a):
            for shape_a, shape_b in shapes:
                yield f"{a}{shape_a} {b}{shape_b}", made(torch, a, *shape_a), made(torch, b, *shape_b)


@pytest.mark.parametrize("name", list(OPERATORS))
@twin
def test_an_operator_promotes(torch, rng, name):
    found, operation = {}, OPERATORS[name]
    for pair, x, y in pairs(torch, (((2,), (2,)), ((2,), ()), ((), (2,)), ((), ()))):
        found[pair] = outcome(lambda x=x, y=y: kind(operation(x, y)))
    for a in DTYPES:
        for text, number in numbers(a):
            for shape in ((2,), ()):
                x = made(torch, a, *shape)
                found[f"{a}{shape} {text}"] = outcome(lambda x=x, number=number: kind(operation(x, number)))
                found[f"{text} {a}{shape}"] = outcome(lambda x=x, number=number: kind(operation(number, x)))
    return found


@pytest.mark.parametrize("name", FUNCTIONS)
@twin
def test_a_function_of_two_promotes(torch, rng, name):
    found = {}
    for pair, x, y in pairs(torch, (((3,), (3,)), ((3,), ()), ((3, 3), (3,)))):
        arguments = {"cat": ([x, y],), "stack": ([x, y],), "where": (x == 0 if x.is_complex() else x > 0, x, y)}
        arguments |= dict.fromkeys(("lerp", "addcmul", "addcdiv"), (x, y, y))
        given = arguments.get(name, (x, y))
        found[pair] = outcome(lambda given=given: kind(getattr(torch, name)(*given)))
    return found


@pytest.mark.parametrize("name", UNARY)
@twin
def test_the_type_of_a_function_of_one(torch, rng, name):
    found = {}
    for dtype in DTYPES:
        for shape in ((2, 2), (3,), ()):
            x = made(torch, dtype, *shape)
            arguments = {"cumsum": (0,), "cumprod": (0,), "softmax": (0,), "logsumexp": (0,)}.get(name, ())
            found[f"{dtype}{shape}"] = outcome(lambda x=x, arguments=arguments: kind(getattr(torch, name)(x, *arguments)))
    return found


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "pow", "floor_divide", "remainder", "fmod"])
@twin
def test_the_type_written_in_place(torch, rng, name):
    found = {}
    for a in DTYPES:
        for b in partners(a):
            for shape in ((2,), ()):
                x, y = made(torch, a, 2), made(torch, b, *shape)
                found[f"{a} {b}{shape}"] = outcome(lambda x=x, y=y: kind(getattr(x, name + "_")(y)))
        for text, number in numbers(a):
            x = made(torch, a, 2)
            found[f"{a} {text}"] = outcome(lambda x=x, number=number: kind(getattr(x, name + "_")(number)))
    return found


@twin
def test_result_type_can_cast_and_promote_types(torch, rng):
    found = {}
    for a in DTYPES:
        for b in partners(a):
            d, e = getattr(torch, a), getattr(torch, b)
            found[f"promote {a} {b}"] = str(torch.promote_types(d, e))
            found[f"cast {a} {b}"] = torch.can_cast(d, e)
            for shape in ((2,), ()):
                x, y = made(torch, a, 2), made(torch, b, *shape)
                found[f"result {a} {b} {shape}"] = str(torch.result_type(x, y))
        for text, number in numbers(a):
            found[f"result {a} {text}"] = str(torch.result_type(made(torch, a, 2), number))
            found[f"result {text} {a}"] = str(torch.result_type(number, made(torch, a)))
        d = getattr(torch, a)
        found[a] = (
            str(d),
            d.is_floating_point,
            d.is_complex,
            d.is_signed,
            d.itemsize,
            str(d.to_real()),
            a == "float16" or outcome(lambda d=d: str(d.to_complex())),
        )
    return found


@twin
def test_casts_by_every_road(torch, rng):
    found = {}
    values = torch.tensor([-2.7, -1.0, 0.0, 0.5, 3.9, 100.0])
    for dtype in DTYPES:
        d = getattr(torch, dtype)
        if dtype not in ("uint8",):
            found[dtype] = outcome(lambda d=d: (values.to(d), values.type(d), values.to(torch.zeros(1, dtype=d))))
        found[f"same {dtype}"] = (x := torch.ones(2, dtype=d)).to(d) is x, x.to(d, copy=True) is x, str(x.to(torch.float64).dtype)
    names = "float double half int long short char byte bool cfloat cdouble".split()
    positive = values.abs()
    return found, [getattr(positive, name)() for name in names], values.type()


@twin
def test_integers_wrap_and_divide_as_torch_says(torch, rng):
    found = []
    for dtype in ("uint8", "int8", "int16", "int32", "int64"):
        d = getattr(torch, dtype)
        limits = torch.iinfo(d)
        x = torch.tensor([limits.max, limits.min, 7, 0], dtype=d)
        y = torch.tensor([1, 1, 2, 3], dtype=d)
        found += [x + 1, x - 1, x * 2, -x, x // y, x % y, x / y, abs(x), x**2, x.sum(), x.prod(), x.float().mean()]
        if dtype != "uint8":
            found += [torch.tensor([-7, 7, -7], dtype=d) // torch.tensor([2, -2, -2], dtype=d)]
            found += [torch.tensor([-7, 7, -7], dtype=d) % torch.tensor([2, -2, -2], dtype=d)]
            found += [torch.fmod(torch.tensor([-7, 7, -7], dtype=d), 2)]
    return found, outcome(lambda: torch.tensor([1]) // 0), outcome(lambda: torch.tensor([1]) % 0), torch.tensor([1]) / 0


@twin
def test_default_dtype(torch, rng):
    found = []
    before = torch.get_default_dtype()
    try:
        for name in ("float64", "float32"):
            torch.set_default_dtype(getattr(torch, name))
            found += [
                str(t.dtype)
                for t in (torch.tensor(1.5), torch.zeros(2), torch.tensor([1, 2]) / 2, torch.tensor(1j), torch.arange(0, 1, 0.5))
            ]
            found += [str((torch.ones(2, dtype=torch.int64) * 1.5).dtype), str(torch.tensor([1, 2]).sqrt().dtype)]
    finally:
        torch.set_default_dtype(before)
    return found, outcome(lambda: torch.set_default_dtype(torch.int64)), str(torch.get_default_dtype())


@twin
def test_the_limits_of_types(torch, rng):
    found = []
    for dtype in DTYPES:
        d = getattr(torch, dtype)
        if dtype == "bool":
            continue
        info = torch.finfo(d) if d.is_floating_point or d.is_complex else torch.iinfo(d)
        found.append((repr(info), info.bits, info.max, info.min, info.dtype))
        if d.is_floating_point:
            found.append((info.eps, info.tiny, info.smallest_normal, info.resolution))
    return (
        found,
        outcome(lambda: torch.finfo(torch.int64)),
        outcome(lambda: torch.iinfo(torch.float32)),
        outcome(lambda: torch.iinfo(torch.bool)),
    )


@twin
def test_tensors_from_python_data(torch, rng):
    data = [
        1,
        1.5,
        True,
        1j,
        [1, 2],
        [1, 2.5],
        [True, False],
        [True, 2],
        [[1], [2]],
        [],
        [[]],
        [1, 2j],
        (1, 2),
        range(3),
        [2**40],
        [[1.5, 2], [3, 4]],
    ]
    found = [outcome(lambda d=d: torch.tensor(d)) for d in data]
    wrong = [[[1], [2, 3]], "a", [1, "a"], None, [None], object(), [2**70], [[1, 2], 3]]
    found += [outcome(lambda d=d: torch.tensor(d)) for d in wrong]
    found += [
        outcome(lambda: torch.tensor([1.7, -1.7], dtype=torch.int32)),
        outcome(lambda: torch.tensor([300], dtype=torch.uint8)),
    ]
    found += [
        torch.tensor([torch.tensor(1.0), torch.tensor(2.0)]),
        torch.as_tensor([1, 2]),
        torch.full((2,), 3),
        torch.full((2,), 3.0),
    ]
    found += [
        torch.full((2,), True),
        torch.arange(5),
        torch.arange(1.0, 2, 0.3),
        torch.linspace(0, 1, 5),
        torch.eye(2, 3),
        torch.ones(()),
    ]
    return found


@twin
def test_python_values_of_tensors(torch, rng):
    found = []
    for dtype in DTYPES:
        x = torch.tensor([[2]], dtype=getattr(torch, dtype))
        found += [
            x.item(),
            x.tolist(),
            bool(x),
            outcome(lambda x=x: int(x)),
            outcome(lambda x=x: float(x)),
            outcome(lambda x=x: complex(x)),
        ]
        found += [outcome(lambda x=x: [10, 20, 30][x]), outcome(lambda x=x: f"{x.item()}"), len(x)]
    two = torch.ones(2)
    tries = [
        two.item,
        lambda: bool(two),
        lambda: int(two),
        lambda: float(two),
        lambda: len(torch.tensor(1)),
        lambda: bool(torch.ones(0)),
    ]
    tries += [
        lambda: iter(torch.tensor(1)),
        lambda: two.tolist(),
        lambda: 1.0 in two,
        lambda: [float(t) for t in two],
        lambda: hash(two) == hash(two),
    ]
    return (
        found,
        [outcome(t) for t in tries[:6] + tries[7:]],
        outcome(lambda: list(torch.tensor(1))),
    )


@twin
def test_a_number_has_the_type_of_the_tensor_before_it_is_raised(torch, rng):
    exponents = torch.arange(1.0, 6.0)
    return [str((base**exponents).tolist()) for base in (0.9, 1.1, 3.3)], str((0.9 ** torch.tensor(2.0)).item())
