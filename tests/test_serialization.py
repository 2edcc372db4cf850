"""Saving and loading without torch: a file that torch 2.13 wrote, preserved state, and errors."""

from __future__ import annotations

import base64
import io
import pickle
import sys
import zipfile
import zlib
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mini_dl as torch
from mini_dl import nn
from mini_dl.serialization import load_npz, load_safetensors, safe_globals, save_npz, save_safetensors

WRITTEN_BY_TORCH = (
    r"c-pO&O>YuG7{`ZQSm>(s#TVMD)z&wvE#<8XsFjwOHE|Cjrb%OB$QHI`;}&?9p|+kHwN-DLnCQuP@H=?)Gt?MQCLTN(FPeDt<jgLmyNi_6x?yIrF#rGa+nM"
    r"K?B`dLRgnT~Ka`m7-B<qEex~xnTWh{rPcQrBNN4IU)8dE4#G)*aBwNkF}H}s;SE5)m70rP-HbKnZjxro^cFa=y8ZlQb~t6GiE>&kpx)rxtnlxr0|zZ~U(4"
    r"F>1DWO9wnlou6nn-"
    r"X5sDl)!he#wK!Fbo4X$C9y7t%FzMF!*jtNMa;*1G*$ua%}+rv_t{+Vc4I81BM8LzeIwR+$B$mD;ctGDq|&P19~JERri{*J`4wQaLABV;cy%Hs;tXP3RZL;"
    r"j%+y_k_ZHdzY9Y@^>?kq0PO}%@1q!w<>2@e<7VhFoXEjRLsf_24yzR7VT6WhOlzzZKU>DDRi)Tmqf>@m6iyQe2E&;K#97*%Ga-VF#jUGl91(aJ#c)0c7Yt"
    r"z;#_qs)P;wb}GK3m)7wAUB$WBct^-xyw`ZjAn9{eVAXv?<EqyU;}W>RROqA$rfzpUsrk}+at%8^jJydo6i-"
    r"OtYtDJgC3F$Pg$8>6vud0A5z%S%cbi<#KJkO*-"
    r"KkiG}s84`lo5ug{Pn*j5xSgFur5i^(evI3flv8GUl^{KA|9Erm1$lym;Y*jrG7Bd(30ARYVrAaqUKBTRY_GX$A1)hC--cNq$??5zWCyI!fAlgOzG>tX<Yv"
    r"d&ffZQEoP1|Ed#mwbBC7>74=*dT~{GIo|+foPrEB|A>QHQS=XFJCqLecF4Fdo0A=qjmz`!YSf^J-"
    r"Ddgm#G&PR3L5WHK2~q=d<EJei11hQnbY8c9s11R)WR34)M}roxo+?TeW&LBbI<C|wk`$!R@FdRoYx?;)q!dH@7$%IgejclJ0<tVKL%GugD7w45AHA8R4@+"
    r"I(^>YCQm)a%<K2ZSqena@4L<Ypnviw&ZqbBTlU~hwa*rPHnVh_bmC>ZGU7Ba^}2KY)y+HoA`r8{P%>-"
    r"N*p(~mEP=lQ`zMhuQBGh!kHt{(SI7~eS^V#b9gvY(`C#z=l%f!dK2~"
)
"""OrderedDict(x=arange(6.).reshape(2, 3), t=x.t(), p=Parameter([0.5]), u=uint16 [7], n=[1, "a", float32])"""


def again(value: Any, **options: Any) -> Any:
    """`value`, saved and loaded."""
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file, **options)


def test_a_file_that_torch_wrote_is_read() -> None:
    loaded = torch.load(io.BytesIO(zlib.decompress(base64.b85decode(WRITTEN_BY_TORCH))))
    assert type(loaded) is OrderedDict and list(loaded) == ["x", "t", "p", "u", "n"]
    assert loaded["x"].tolist() == [[0, 1, 2], [3, 4, 5]] and loaded["t"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert isinstance(loaded["p"], nn.Parameter) and loaded["p"].requires_grad and loaded["p"].tolist() == [0.5]
    assert loaded["u"].dtype == torch.uint16 and loaded["u"].tolist() == [7]
    assert loaded["n"] == [1, "a", torch.float32]
    loaded["x"][0, 1] = 9
    assert loaded["t"][1, 0] == 9


@pytest.mark.parametrize(
    "name", ("float64", "float32", "float16", "int64", "int8", "uint8", "uint16", "uint64", "bool", "complex64")
)
def test_every_type_and_layout_comes_back(name: str) -> None:
    x = torch.arange(24).to(getattr(torch, name)).reshape(4, 6)
    for y in (x, x.t(), x[1], x[:, 2], x[::2, 1:4], x[0, 0], x[:0], x[:1].expand(3, 6)):
        back = again(y)
        assert back.dtype == y.dtype and back.shape == y.shape and back.tolist() == y.tolist()


def test_plain_values_and_containers_come_back() -> None:
    value = [1, 2.5, "s", None, True, (1, 2), b"ab", {3}, 2 + 1j, 10**30, bytearray(b"q"), OrderedDict(a=[torch.Size([2])])]
    assert again(value) == value
    assert again({"d": torch.float16, "e": torch.device("cpu")}) == {"d": torch.float16, "e": torch.device("cpu")}


def test_tensors_over_one_memory_share_it_again_and_their_version() -> None:
    base = torch.zeros(100)
    loaded = again({"base": base, "view": base[10:20], "detached": base.detach()})
    loaded["view"][0] = 5
    assert loaded["base"][10] == 5 and loaded["detached"][10] == 5
    assert loaded["base"]._version == loaded["view"]._version


def test_equal_objects_make_equal_files() -> None:
    files = [io.BytesIO(), io.BytesIO()]
    for file in files:
        torch.save({"x": torch.ones(3)}, file)
    assert files[0].getvalue() == files[1].getvalue()


def test_a_network_and_its_optimizer_go_on_where_they_were(tmp_path: Path) -> None:
    torch.manual_seed(0)

    def made() -> tuple[Any, Any]:
        network = nn.Linear(3, 2)
        return network, torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)

    def train(network: Any, optimizer: Any) -> None:
        for _ in range(3):
            optimizer.zero_grad()
            (network(x) ** 2).sum().backward()
            optimizer.step()

    x = torch.randn(4, 3)
    network, optimizer = made()
    train(network, optimizer)
    torch.save({"network": network.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "checkpoint.pt")
    train(network, optimizer)
    other, its_optimizer = made()
    checkpoint = torch.load(tmp_path / "checkpoint.pt")
    other.load_state_dict(checkpoint["network"])
    its_optimizer.load_state_dict(checkpoint["optimizer"])
    train(other, its_optimizer)
    assert other.weight.tolist() == network.weight.tolist()


class Secret:
    opened = False

    def __reduce__(self) -> Any:
        return _open, ()


def _open() -> Secret:
    Secret.opened = True
    return Secret()


def test_a_file_cannot_run_code_unless_it_is_allowed_to() -> None:
    with pytest.raises(pickle.UnpicklingError, match=r"Weights only load failed.*_open was not an allowed global"):
        again({"x": Secret()})
    assert not Secret.opened
    with safe_globals([_open]):
        assert isinstance(again(Secret()), Secret)
    with pytest.raises(pickle.UnpicklingError):
        again(Secret())
    assert isinstance(again(Secret(), weights_only=False), Secret)


def test_files_that_are_something_else_are_refused(tmp_path: Path) -> None:
    with pytest.raises(pickle.UnpicklingError, match=r"not a \.pt file: neither a zip archive nor a pickle"):
        torch.load(io.BytesIO(b"something else"))
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("other/readme", "")
    with pytest.raises(RuntimeError, match=r"no record of its version; it was not written by torch\.save"):
        torch.load(tmp_path / "other.zip")
    with pytest.raises(FileNotFoundError):
        torch.load(tmp_path / "missing.pt")


def test_a_tensor_that_does_not_fit_its_storage_is_refused(tmp_path: Path) -> None:
    torch.save(torch.ones(8), tmp_path / "x.pt")
    with zipfile.ZipFile(tmp_path / "x.pt") as archive, zipfile.ZipFile(tmp_path / "y.pt", "w") as shorter:
        for name in archive.namelist():
            content = archive.read(name)
            shorter.writestr(name, content[:16] if "/data/" in name else content)
    with pytest.raises(RuntimeError, match=r"record data/0: record size \(16 bytes\) does not match expected size \(32 bytes"):
        torch.load(tmp_path / "y.pt")


@pytest.mark.parametrize("save, load", ((save_npz, load_npz), (save_safetensors, load_safetensors)))
def test_dictionaries_of_tensors_come_back(tmp_path: Path, save: Any, load: Any) -> None:
    names = ("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64", "bool")
    tensors = {name: torch.arange(6).to(getattr(torch, name)).reshape(2, 3).t() for name in names}
    tensors |= {"scalar": torch.tensor(2.5), "empty": torch.zeros(0, 4)}
    for file in (tmp_path / "tensors.npz", io.BytesIO()):
        save(tensors, file)
        if isinstance(file, io.BytesIO):
            file.seek(0)
        loaded = load(file)
        assert set(loaded) == set(tensors)
        for name, tensor in tensors.items():
            assert loaded[name].dtype == tensor.dtype and loaded[name].shape == tensor.shape
            assert loaded[name].tolist() == tensor.tolist()


def test_truncated_safetensors_are_refused_with_the_sizes() -> None:
    file = io.BytesIO()
    save_safetensors({"x": torch.ones(4)}, file)
    with pytest.raises(ValueError, match=r"x: expected 16 bytes for the shape \[4\], found 16 bytes at 0 of 12"):
        load_safetensors(io.BytesIO(file.getvalue()[:-4]))
    with pytest.raises(ValueError, match=r"truncated \.safetensors file: expected a header of"):
        load_safetensors(io.BytesIO(file.getvalue()[:20]))
    with pytest.raises(TypeError, match=r"no type for torch\.complex128"):
        save_safetensors({"x": torch.ones(2, dtype=torch.complex128)}, io.BytesIO())


def test_bfloat16_is_read_as_float32_where_its_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    header = b'{"x":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'
    content = len(header).to_bytes(8, "little") + header + np.array([0x3F80, 0xC000], "<u2").tobytes()
    with pytest.warns(UserWarning, match="bfloat16 is read as float32: x"):
        loaded = load_safetensors(io.BytesIO(content))["x"]
    assert loaded.dtype == torch.float32 and loaded.tolist() == [1, -2]
