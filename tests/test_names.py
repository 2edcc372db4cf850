"""Every public name of torch is here, passes through, or is absent with a reason; and the format of the tables."""

from __future__ import annotations

import copy
import importlib
import pickle
import re
import subprocess
import sys
import warnings
from typing import Any

import pytest

import mini_dl as torch
from mini_dl.standins import kind_of, kinds, tables


def module_of(place: str) -> Any:
    return importlib.import_module("mini_dl" if place == "torch" else f"mini_dl.{place}")


def can_be_imported(place: str, wrong: list[str]) -> bool:
    try:
        module_of(place)
    except ImportError as error:
        wrong.append(f"{place}: {error}")
        return False
    return True


def kind_or_missing(place: str, name: str, wrong: list[str]) -> str:
    try:
        return kind_of(place, name)
    except AttributeError:
        wrong.append(f"{place}.{name}")
        return ""


# ------------------------------------------------------------------------------------------------ all names


def test_every_public_module_of_torch_can_be_imported_and_every_name_is_one_of_three_kinds(names: dict[str, list[str]]) -> None:
    assert len(names) > 700
    wrong: list[str] = []
    counts = dict.fromkeys((tables.HERE, tables.PASSES, tables.NOT_HERE, ""), 0)
    for place, given in names.items():
        if place == "Tensor":
            continue
        if not can_be_imported(place, wrong):
            continue
        for name in given:
            counts[kind_or_missing(place, name, wrong)] += 1
    assert not wrong, "give each a row in mini_dl/standins/tables: " + ", ".join(wrong)
    assert min([count for kind, count in counts.items() if kind]) > 400, counts


def test_every_row_of_the_tables_can_be_made() -> None:
    for place in tables.places():
        found = tables.section(place)
        assert found is not None
        for row in found.rows.values():
            try:
                made = kinds.made(row, place, "mini_dl")
            except (ImportError, AttributeError) as error:
                pytest.fail(f"{place}.{row.name} points to what is not there: {error}")
            assert made is not None or row.value == "None", f"{place}.{row.name}"


def test_names_that_are_not_here_have_a_reason() -> None:
    missing = [
        f"{place}.{row.name}"
        for place in tables.places()
        for row in tables.file_of(place.partition(".")[0])[place].rows.values()
        if row.answer == tables.NOT_HERE and not row.reason
    ]
    assert missing == []


def test_the_modules_of_the_tables_can_be_imported_by_their_path() -> None:
    failed: list[str] = []
    for place in tables.places():
        can_be_imported(place, failed)
    assert failed == []


def test_everything_that_a_module_of_the_tables_exports_is_there() -> None:
    exported: dict[str, Any] = {}
    exec("from mini_dl.cuda import *; from mini_dl.distributed import *", exported)
    assert exported["is_available"]() is (importlib.util.find_spec("mpi4py") is not None)
    assert "init_process_group" in exported
    assert "memory_allocated" in dir(torch.cuda)


def test_importing_the_package_reads_no_table_and_no_stand_in() -> None:
    code = (
        "import sys, mini_dl\n"
        "from mini_dl.standins import tables\n"
        "late = [n for n in sys.modules if n.startswith(('mini_dl._compiled', 'mini_dl._jit', 'mini_dl.library', "
        "'mini_dl.testing', "
        "'mini_dl.profiler', 'mini_dl.utils.checkpoint', 'mini_dl._settings', 'mini_dl.cuda', 'mini_dl.distributed'))]\n"
        "print(late, tables.file_of.cache_info().currsize)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[] 0"


# ------------------------------------------------------------------------------------------------ not here


def test_a_name_that_is_not_here_can_be_imported_compared_and_annotated_with() -> None:
    from mini_dl.distributed import split_group as absent

    assert not isinstance(torch.ones(1), absent)
    assert not issubclass(torch.Tensor, absent)
    assert (absent | None) == (None | absent)
    assert absent[int] is absent
    assert absent is torch.distributed.split_group
    assert pickle.loads(pickle.dumps(kinds.PAGE)) == kinds.PAGE
    assert repr(absent) == "<torch.distributed.split_group, which is not here>"


def subclass(base: Any) -> None:
    class Derived(base):  # type: ignore[misc]
        pass


USES = {"call": lambda name: name("gloo", rank=0), "subclass": subclass, "attribute": lambda name: name.something}


@pytest.mark.parametrize("use", USES)
def test_using_a_name_that_is_not_here_says_which_why_and_where_to_read(use: str) -> None:
    with pytest.raises(NotImplementedError) as error:
        USES[use](torch.distributed.split_group)
    said = str(error.value)
    assert said.startswith("mini_dl has no torch.distributed.split_group (several processes")
    assert said.endswith("; see docs/coverage.md)")


def test_hasattr_of_a_name_that_is_not_here_is_false_and_does_not_raise() -> None:
    assert not hasattr(torch.distributed.Logger, "set")
    assert getattr(torch.distributed.Logger, "set", 3) == 3


def test_a_base_class_that_packages_derive_from_can_be_derived_from_and_not_constructed() -> None:
    class Mine(torch.fx.Tracer):
        def more(self) -> int:
            return 1

    with pytest.raises(NotImplementedError, match=re.escape("mini_dl has no torch.fx.Tracer (programs as graphs")):
        Mine()


def test_a_module_refuses_names_that_torch_does_not_have_either() -> None:
    for module in (torch, torch.cuda, torch.distributed, torch.nn, torch.nn.functional, torch.jit, torch.backends.cudnn):
        with pytest.raises(AttributeError, match="no_such_name"):
            getattr(module, "no_such_name")  # noqa: B009
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("mini_dl.no_such_module")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("mini_dl.cuda.no_such_module")


def test_types_that_numpy_lacks_are_names_that_compare_and_print() -> None:
    kind = torch.float8_e4m3fn
    assert (repr(kind), kind.itemsize, kind.is_floating_point, kind.is_complex, kind.is_signed) == (
        "torch.float8_e4m3fn", 1, True, False, True,
    )  # fmt: skip
    assert isinstance(kind, torch.dtype)
    assert kind == torch.float8_e4m3fn != torch.float8_e5m2
    assert torch.ones(1).dtype not in (kind, torch.complex32, torch.qint8)
    assert copy.deepcopy({"dtype": kind})["dtype"] is pickle.loads(pickle.dumps(kind)) is kind
    assert copy.deepcopy([torch.distributed.ReduceOp.SUM])[0] is torch.distributed.ReduceOp.SUM
    for use in (lambda: torch.zeros(1, dtype=kind), lambda: torch.ones(1).to(kind)):
        with pytest.raises(NotImplementedError, match=r"torch\.float8_e4m3fn is a name only: NumPy has no numbers of 8 bits"):
            use()


# ------------------------------------------------------------------------------------------------ rows


@pytest.mark.parametrize(
    ("line", "kind", "signature", "value"),
    [
        ("f() = False", "=", "()", "False"),
        ("f(device=None, *, x=(1, 2)) = (0, 'a')", "=", "(device=None, *, x=(1, 2))", "(0, 'a')"),
        ("f(x) ! ValueError: f(x) = no", "!", "(x)", "ValueError: f(x) = no"),
        ("f : None", ":", "()", "None"),
        ("f -> a.b:c", "->", "()", "a.b:c"),
        ("f ~> a.b:c", "~>", "()", "a.b:c"),
        ("f(fn) is same", "same", "(fn)", ""),
        ("f is dtype 1 float no such numbers", "dtype", "()", "1 float no such numbers"),
    ],
)
def test_a_row_is_read(line: str, kind: str, signature: str, value: str) -> None:
    row = tables.row(line)
    assert (row.name, row.kind, row.signature, row.value) == ("f", kind, signature, value)


def test_sections_hand_their_reason_down_and_names_may_have_their_own() -> None:
    found = tables.parsed("# comment\n[a] why a\nx y\nz ? why z\n[a.b]\nv\n[a.c] why c\nw is base\n")
    assert {name: row.reason for name, row in found["a"].rows.items()} == {"x": "why a", "y": "why a", "z": "why z"}
    assert found["a.b"].rows["v"].reason == "why a"
    assert found["a.c"].rows["w"].reason == "why c"


@pytest.mark.parametrize("text", ["[a] why\nx\nx = 1", "[a] why\nx ~ 1", "[a] why\nf( = 1"])
def test_a_table_that_says_something_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"two rows|not a row"):
        tables.parsed(text)


def made(line: str) -> Any:
    return kinds.made(tables.parsed(f"[a] why\n{line}\n")["a"].rows["f"], "a", "mini_dl")


def test_what_becomes_of_each_kind_of_row() -> None:
    function = made("f(device=None, *, x=1) = {'a': 1}")
    assert function() == {"a": 1} and function() is not function()
    with pytest.raises(TypeError):
        function(1, 2)
    with pytest.raises(ValueError, match=r"^no: f\(x\)\nindeed$"):
        made("f(x) ! ValueError: no: f(x)\\nindeed")(0)
    assert made("f(first, second=0) is same")(7) == 7
    with made("f() is context")() as entered:
        assert entered is None
    assert made("f() is decorator")(len) is len
    assert made("f() is decorator")(option=1)(len) is len
    assert made("f() is decoration")(len)(max) is max
    assert made("f : [1, 2]") == [1, 2]
    assert repr(made("f is tag")) == "torch.a.f"
    assert issubclass(made("f is exception RuntimeError"), RuntimeError)
    assert made("f -> nn:Linear") is torch.nn.Linear
    assert made("f -> ^math:pi") == torch.pi
    values = made("f is names ONE TWO")
    assert values.ONE != values.TWO and repr(values.ONE) == "torch.a.f.ONE"
    with pytest.raises(RuntimeError, match="dummy"):
        made("f(x) is class RuntimeError: dummy")(1)
    with pytest.raises(ValueError, match="malformed"):
        made("f() = open('x')")


# ------------------------------------------------------------------------------------------------ devices and settings


def test_a_build_without_cuda_answers_as_torchs_does() -> None:
    assert (torch.cuda.is_available(), torch.cuda.device_count(), torch.cuda.memory_allocated()) == (False, 0, 0)
    assert torch.cuda.memory_stats() == {}
    assert torch.cuda.manual_seed_all(3) is None
    with torch.cuda.device(-1), torch.cuda.stream(None):
        pass
    with pytest.raises(AssertionError, match="Torch not compiled with CUDA enabled"):
        torch.cuda.synchronize()
    with pytest.raises(RuntimeError, match="dummy base class Event"):
        torch.cuda.Event(enable_timing=True)
    with pytest.raises(TypeError, match=r"type torch\.cuda\.FloatTensor not available"):
        torch.cuda.FloatTensor(3)
    assert not isinstance(torch.ones(1), torch.cuda.FloatTensor)
    assert not (torch.backends.mps.is_available() or torch.backends.cudnn.is_available() or torch.accelerator.is_available())
    with pytest.raises(RuntimeError, match="Cannot access accelerator device when none is available"):
        torch.accelerator.current_device_index()


def test_settings_of_libraries_are_remembered_and_put_back() -> None:
    cudnn = torch.backends.cudnn
    assert (cudnn.enabled, cudnn.benchmark) == (True, False)
    cudnn.benchmark = True
    try:
        with cudnn.flags(enabled=False, benchmark=False):
            assert (cudnn.enabled, cudnn.benchmark) == (False, False)
        assert (cudnn.enabled, cudnn.benchmark) == (True, True)
    finally:
        cudnn.benchmark = False
    matmul = torch.backends.cuda.matmul
    matmul.allow_tf32 = True
    assert torch.get_float32_matmul_precision() == "high"
    torch.set_float32_matmul_precision("highest")
    assert not matmul.allow_tf32
    with pytest.raises(AttributeError, match="Unknown attribute allow_tf16"):
        matmul.allow_tf16 = True


def test_deterministic_algorithms_can_be_asked_for_and_denormals_stay() -> None:
    torch.use_deterministic_algorithms(True, warn_only=True)
    assert (torch.are_deterministic_algorithms_enabled(), torch.get_deterministic_debug_mode()) == (True, 1)
    torch.set_deterministic_debug_mode("default")
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.set_flush_denormal(True) is False
    torch.set_default_device("cpu")
    with pytest.raises(AssertionError, match="CUDA"):
        torch.set_default_device("cuda")
    assert torch.get_device_module("cuda") is torch.cuda


# ------------------------------------------------------------------------------------------------ compilers


def test_a_compiled_module_is_the_module_and_its_state_has_torchs_keys() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Dropout(0.5))
    compiled = torch.compile(net, mode="max-autotune")
    assert list(compiled.state_dict()) == ["_orig_mod.0.weight", "_orig_mod.0.bias"]
    compiled.eval()
    assert not net.training and not net[1].training
    x = torch.ones(4, 2)
    assert torch.equal(compiled(x), net(x))
    compiled.extra = 3
    assert net.extra == 3
    again = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Dropout(0.5))
    torch.compile(again).load_state_dict(compiled.state_dict())
    assert torch.equal(again[0].weight, net[0].weight)
    copied = pickle.loads(pickle.dumps(compiled))
    assert torch.equal(copied(x), compiled(x))


def test_decorators_of_compilers_leave_functions_as_they_are() -> None:
    @torch.compile
    def one(x: Any) -> Any:
        "doc"
        return x + 1

    @torch.compile(fullgraph=True, dynamic=False)
    def two(x: Any) -> Any:
        return x + 2

    assert (one.__name__, one.__doc__, one(1), two(1)) == ("one", "doc", 2, 3)
    function = lambda x: x
    for decorate in (torch.compiler.disable, torch._dynamo.disable, torch.jit.ignore, torch.jit.unused, torch.jit.export):
        assert decorate(function) is function
    assert torch.compiler.disable(recursive=False)(function) is function
    assert torch.jit.ignore(drop=False)(function) is function
    assert not (torch.compiler.is_compiling() or torch.jit.is_scripting() or torch._dynamo.is_compiling())
    with pytest.raises(RuntimeError, match="Unrecognized mode=fastest"):
        torch.compile(function, mode="fastest")
    with pytest.raises(RuntimeError, match="Invalid backend: 'gpu'"):
        torch.compile(function, backend="gpu")


def test_scripted_and_traced_modules_share_parameters_and_attributes() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU())
    x = torch.ones(4, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for made in (torch.jit.script(net), torch.jit.trace(net, x)):
            assert isinstance(made, torch.jit.ScriptModule)
            assert (made.original_name, list(made.state_dict()), len(made)) == ("Sequential", ["0.weight", "0.bias"], 2)
            assert made[0] is net[0] and torch.equal(made(x), net(x))
            made.eval()
            assert not net.training
            with pytest.raises(NotImplementedError, match=r"no torch\.jit\.ScriptModule\.save \(TorchScript"):
                made.save("x.pt")
        assert torch.jit.wait(torch.jit.fork(lambda a: a + 1, x))[0, 0] == 2
    with pytest.raises(NotImplementedError, match=r"mini_dl has no torch\.jit\.load "):
        torch.jit.load("x.pt")


def test_names_that_are_imported_later_are_listed_and_come_with_all_others() -> None:
    code = (
        "import mini_dl, sys\n"
        "late = 'save load autocast GradScaler amp distributions func optim serialization signal utils'.split()\n"
        "starred = late[:4]\n"
        "print([name for name in late if name in vars(mini_dl)], set(late) - set(dir(mini_dl)))\n"
        "print([name for name in sys.modules if name.startswith(('mini_dl.files', 'mini_dl.utils', 'mini_dl.optim'))])\n"
        "names = {}\n"
        "exec('from mini_dl import *', names)\n"
        "print(set(starred) - set(names), names['save'] is mini_dl.serialization.save, names['tensor'] is mini_dl.tensor)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines() == ["[] set()", "[]", "set() True True"]
