"""bfloat16 with and without the package that stores it; autocast and meta tensors, in tests that do not need torch."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import mini_dl as torch


def run(program: str) -> str:
    """What a program prints in its own process."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    return done.stdout


WITHOUT = """
    import sys
    sys.modules["ml_dtypes"] = None
    import mini_dl as torch
"""


def test_without_its_package_the_name_is_there_and_its_use_says_what_to_install() -> None:
    printed = run(
        WITHOUT
        + """
    b = torch.bfloat16
    print(b, b.itemsize, b.is_floating_point, torch.finfo(b).bits, torch.is_autocast_enabled("cpu"))
    for use in (lambda: torch.zeros(2, dtype=b), lambda: torch.ones(2).bfloat16(), lambda: torch.ones(2).to(b),
                lambda: torch.nn.Linear(2, 2).bfloat16(), lambda: torch.BFloat16Tensor(2),
                lambda: torch.autocast("cpu").__enter__()):
        try:
            use()
        except ImportError as error:
            print(error)
    """
    )
    first, *errors = printed.splitlines()
    assert first == "torch.bfloat16 2 True 16 False"
    assert len(errors) == 6 and all("pip install 'mini_dl[bfloat16]'" in error for error in errors)


def test_without_its_package_autocast_computes_in_float16() -> None:
    assert (
        run(
            WITHOUT
            + """
    with torch.autocast("cpu", dtype=torch.float16):
        print((torch.ones(2, 2) @ torch.ones(2, 2)).dtype)
    """
        )
        == "torch.float16\n"
    )


def test_importing_loads_neither_the_package_nor_anything_around_the_kernels() -> None:
    printed = run(
        """
        import sys
        import mini_dl as torch
        from mini_dl.autograd import forwards
        torch.ones(2).exp()
        print("ml_dtypes" in sys.modules, len(forwards._wrappers))
        """
    )
    assert printed == "False 0\n"


def test_a_bfloat16_result_is_the_float32_result_rounded_once() -> None:
    pytest.importorskip("ml_dtypes")
    torch.manual_seed(0)
    x, w, b = torch.randn(7, 33).bfloat16(), torch.randn(5, 33).bfloat16(), torch.randn(5).bfloat16()
    linear = torch.nn.functional.linear
    assert torch.equal(linear(x, w, b), linear(x.float(), w.float(), b.float()).bfloat16())
    for function in (
        torch.exp,
        torch.sin,
        torch.nn.functional.gelu,
        lambda t: t.softmax(1),
        lambda t: t.sum(1),
        lambda t: t.var(1),
    ):
        assert torch.equal(function(x), function(x.float()).bfloat16())


def test_rounding_is_to_the_nearest_and_ties_to_even() -> None:
    pytest.importorskip("ml_dtypes")
    ties = torch.tensor([1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-8 + 2.0**-20, 3.4e38, -3.4e38])
    assert ties.bfloat16().tolist() == [1.0, 1 + 2.0**-6, 1 + 2.0**-7, float("inf"), float("-inf")]


def test_functions_keep_their_names_and_signatures_under_autocast() -> None:
    import inspect

    before = {name: inspect.signature(getattr(torch.nn.functional, name)) for name in ("linear", "cross_entropy", "pad")}
    with torch.autocast("cpu", dtype=torch.float16):
        pass
    for name, signature in before.items():
        function = getattr(torch.nn.functional, name)
        assert inspect.signature(function) == signature and function.__name__ == name


FLOATING_ALONE = {
    "autograd/inplace.py": "the ufuncs of bfloat16 would round a number first",
    "ops/complex_numbers.py": "there are no complex numbers of bfloat16",
    "_dtypes.py": "the helpers themselves",
    "onnx/building.py": "the kind of a recipe",
    "onnx/sizes.py": "the kind of a recipe",
}
"""Where only NumPy's own floating point types are meant, and why."""


def test_questions_about_the_kind_of_a_type_know_bfloat16() -> None:
    package = Path(torch.__file__).parent
    asked = re.compile(r"""kind (==|!=|in|not in) ["']f""")
    files = [
        path for path in package.rglob("*.py") if asked.search(path.read_text(encoding="utf-8")) and "textbook" not in path.parts
    ]
    assert {path.relative_to(package).as_posix() for path in files} <= {*FLOATING_ALONE, "autograd/recording.py"}


def test_a_meta_tensor_takes_no_memory() -> None:
    x = torch.empty(10**6, 10**6, device="meta")
    y = (x * 2 + 1).relu().t()[:10].sum(0)
    assert y.shape == (10**6,) and y.is_meta and x._array.base is not None and x._array.base.nbytes <= 8
