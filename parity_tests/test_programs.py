"""Programs as people write them, run unchanged: once by ``python`` with torch, once by ``python -m mini_dl``."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
PROGRAMS = Path(__file__).parent / "programs"
NUMBER = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?")


def run(*command: object, where: Path) -> str:
    """The output of a program. Fails with its traceback if it fails."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    words = [sys.executable, *[str(word) for word in command]]
    done = subprocess.run(words, capture_output=True, text=True, cwd=where, env=environment, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-3000:]
    return done.stdout


def needs(*names: str) -> None:
    """Skip the test unless mini_dl has these modules and names of torch."""
    code = "import importlib, sys\nfor name in sys.argv[1:]:\n" + (
        "    module, _, attribute = name.partition(':')\n    found = importlib.import_module(module)\n"
        "    assert not attribute or type(getattr(found, attribute)).__name__ != 'Absent'"
    )
    words = [sys.executable, "-m", "mini_dl", "-c", code, *names]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if subprocess.run(words, capture_output=True, env=environment, check=False).returncode:
        pytest.skip(f"mini_dl does not have all of {', '.join(names)} yet")


def check_same(ours: str, theirs: str, tolerance: float = 2e-3) -> None:
    """The same words in the same positions, and numbers that agree."""
    found, expected = ours.splitlines(), theirs.splitlines()
    assert len(found) == len(expected), f"{ours}\n--- torch:\n{theirs}"
    for a, b in zip(found, expected):
        assert NUMBER.sub("#", a) == NUMBER.sub("#", b)
        numbers = [[float(number) for number in NUMBER.findall(line)] for line in (a, b)]
        np.testing.assert_allclose(numbers[0], numbers[1], rtol=tolerance, atol=2e-4, err_msg=f"{a}\n{b}")


def check(program: str, *arguments: str, folder: Path) -> None:
    outputs = []
    for name, how in (("torch", []), ("mini_dl", ["-m", "mini_dl"])):
        where = folder / name
        where.mkdir(exist_ok=True)
        outputs.append(run(*how, PROGRAMS / program, *arguments, where=where))
    assert NUMBER.search(outputs[0])
    check_same(outputs[1], outputs[0])


def test_an_image_classifier_resumes_from_its_checkpoint(tmp_path: Path) -> None:
    needs("torch.backends.cudnn")
    check("train_images.py", folder=tmp_path)
    check("train_images.py", "--resume", "--epochs", "1", folder=tmp_path)


def test_an_image_classifier_resumes_from_the_checkpoint_of_the_other_library(tmp_path: Path) -> None:
    needs("torch.backends.cudnn")
    run(PROGRAMS / "train_images.py", "--epochs", "1", where=tmp_path)
    resumed = [PROGRAMS / "train_images.py", "--resume", "--epochs", "1", "--checkpoint"]
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "ckpt.pth").write_bytes((tmp_path / "checkpoint" / "ckpt.pth").read_bytes())
    theirs = run(*resumed, tmp_path / "checkpoint", where=tmp_path)
    ours = run("-m", "mini_dl", *resumed, copy, where=tmp_path)
    check_same(ours, theirs)


def test_a_gan_with_variables_and_tensor_types(tmp_path: Path) -> None:
    check("gan.py", folder=tmp_path)


def test_a_policy_gradient(tmp_path: Path) -> None:
    needs("torch.distributions:Categorical")
    check("policy_gradient.py", folder=tmp_path)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ([], []),
        (["--amp"], ["torch.amp:autocast", "torch.cuda.amp:GradScaler"]),
        (["--amp", "--dtype", "bfloat16"], ["torch.amp:autocast", "torch.cuda.amp:GradScaler", "ml_dtypes"]),
    ],
)
def test_a_character_model(options: list[str], names: list[str], tmp_path: Path) -> None:
    needs(*names)
    check("char_gpt.py", *options, folder=tmp_path)


def test_a_compiled_character_model_equals_the_one_that_torch_does_not_compile(tmp_path: Path) -> None:
    needs("torch:compile")
    ours = run("-m", "mini_dl", PROGRAMS / "char_gpt.py", "--compile", where=tmp_path)
    check_same(ours, run(PROGRAMS / "char_gpt.py", where=tmp_path))


@pytest.mark.parametrize("options", [[], ["--sparse"]])
def test_a_graph_network(options: list[str], tmp_path: Path) -> None:
    if options:
        needs("torch:spmm", "torch:sparse_coo_tensor")
    check("gcn.py", *options, folder=tmp_path)


@pytest.mark.parametrize("options", [["--num-processes", "1", "--losses"], ["--num-processes", "2"]])
def test_processes_train_one_model_in_shared_memory(options: list[str], tmp_path: Path) -> None:
    needs("torch.multiprocessing")
    check("hogwild.py", *options, folder=tmp_path)


def test_a_recurrent_network_trained_with_a_closure_and_saved_whole(tmp_path: Path) -> None:
    check("lstm_lbfgs.py", folder=tmp_path)


def test_meta_learning_with_gradients_of_gradients(tmp_path: Path) -> None:
    check("maml.py", folder=tmp_path)


def test_functions_with_gradients_of_their_own(tmp_path: Path) -> None:
    check("custom_functions.py", folder=tmp_path)


def test_the_programs_are_plain_programs() -> None:
    """They import torch, and do not depend on this project."""
    for path in PROGRAMS.glob("*.py"):
        text = path.read_text()
        assert "import torch" in text and "mini_dl" not in text
        assert importlib.util.spec_from_file_location(path.stem, path) is not None
