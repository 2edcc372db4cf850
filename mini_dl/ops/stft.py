"""The short-time Fourier transform and its inverse."""

from __future__ import annotations

import warnings
from typing import Any

from mini_dl._dtypes import of_numpy, scalar_name
from mini_dl._surface import method
from mini_dl.autograd.primitive import not_a_tensor
from mini_dl.ops.complex_numbers import view_as_real
from mini_dl.ops.creation import ones
from mini_dl.ops.fft import complex_to_complex, complex_to_real, real_to_complex
from mini_dl.ops.padding import pad
from mini_dl.ops.parts import unfold_place
from mini_dl.tensor import Tensor


@method()
def stft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Tensor:
    """(*B, L) -> (*B, n_fft // 2 + 1 or n_fft, frames): the spectrum of each frame of `n_fft` samples, `hop_length` apart, times
    `window` of `win_length` (centred in the frame). With `center`, frame t is centred at ``t * hop_length``.

    RuntimeError where the lengths do not fit, and for a real input without `return_complex`.

    >>> import mini_dl as torch
    >>> torch.stft(torch.ones(16), 8, window=torch.hann_window(8), return_complex=True).shape
    torch.Size([5, 9])
    """
    if not isinstance(input, Tensor):
        raise not_a_tensor("stft", "input", 1, input)
    if center and align_to_window is not None:
        raise RuntimeError("stft align_to_window should only be set when center = false")
    ndim = input.ndim
    if center:
        signal = input.reshape([1] * (3 - ndim) + list(input.shape))
        signal = pad(signal, [n_fft // 2, n_fft // 2], pad_mode)
        input = signal.reshape(signal.shape[-ndim:] if ndim else ())
    if window is None:
        warnings.warn(
            "A window was not provided. A rectangular window will be applied,which is known to cause spectral leakage. Other "
            "windows such as torch.hann_window or torch.hamming_window are recommended to reduce spectral leakage.To suppress "
            "this warning and use a rectangular window, explicitly set `window=torch.ones(n_fft, device=<device>)`.",
            stacklevel=2,
        )
    hop_length = n_fft >> 2 if hop_length is None else hop_length
    win_length = n_fft if win_length is None else win_length
    complex_window = window is not None and window.is_complex()
    if return_complex is None:
        return_complex = input.is_complex() or complex_window
        if not return_complex:
            raise RuntimeError(
                "stft requires the return_complex parameter be given for real inputs, and will further require that "
                "return_complex=True in a future PyTorch release."
            )
    if not return_complex:
        warnings.warn(
            "stft with return_complex=False is deprecated. In a future pytorch release, stft will return complex tensors for all "
            "inputs, and return_complex=False will raise an error.\nNote: you can still call torch.view_as_real on the complex "
            "output to recover the old return format.",
            stacklevel=2,
        )

    def refuse(why: str) -> RuntimeError:
        return RuntimeError(f"stft(input of shape {list(input.shape)}, {n_fft=}, {hop_length=}, {win_length=}): {why}")

    if not (input.is_floating_point() or input.is_complex()):
        raise refuse("expected a tensor of floating point or complex values")
    if input.ndim not in (1, 2):
        raise refuse("expected a 1D or 2D tensor")
    if align_to_window:
        side = (n_fft - win_length) // 2
        input = pad(input, [side, side])
    length = input.shape[-1]
    if not 0 < n_fft <= length:
        raise refuse(f"expected 0 < n_fft < {length}, but got n_fft={n_fft}")
    if hop_length <= 0:
        raise refuse(f"expected hop_length > 0, but got hop_length={hop_length}")
    if not 0 < win_length <= n_fft:
        raise refuse(f"expected 0 < win_length <= n_fft, but got win_length={win_length}")
    if window is not None and tuple(window.shape) != (win_length,):
        raise refuse(
            f"expected a 1D window tensor of size equal to win_length={win_length}, but got window with size {list(window.shape)}"
        )
    frames = input.unfold(-1, n_fft, hop_length)  # (*B, frames, n_fft)
    if window is not None or win_length < n_fft:
        frames = frames * _centred(window, win_length, n_fft, input)
    whole = frames.is_complex()
    if whole and onesided:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    if frames._array.dtype.char == "e":
        raise RuntimeError(f"MKL FFT doesn't support tensors of type: {scalar_name(frames._array.dtype)}")
    norm, last = "ortho" if normalized else "backward", (frames.ndim - 1,)
    if whole or onesided is False:
        out = complex_to_complex(frames, last, norm, False)
    else:
        out = real_to_complex(frames, last, norm)
    out = out.transpose(-1, -2)
    return out if return_complex else view_as_real(out)


@method()
def istft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Tensor:
    """(*B, n_fft // 2 + 1 or n_fft, frames) -> (*B, L): the signal of which `stft` gives `input`, or comes closest to it.

    The frames' inverse transforms are windowed and added up where they overlap, then divided by the sum of the squared windows
    (Griffin and Lim 1984). RuntimeError where that is 0, or the lengths do not fit.
    """
    if not isinstance(input, Tensor):
        raise not_a_tensor("istft", "input", 1, input)
    if window is None:
        warnings.warn(
            "A window was not provided. A rectangular window will be applied.Please provide the same window used by stft to make "
            "the inversion lossless.To suppress this warning and use a rectangular window, explicitly set "
            "`window=torch.ones(n_fft, device=<device>)`.",
            stacklevel=2,
        )
    hop_length = n_fft >> 2 if hop_length is None else hop_length
    win_length = n_fft if win_length is None else win_length
    if not input.is_complex():
        raise RuntimeError("istft requires a complex-valued input tensor matching the output from stft with return_complex=True.")

    def refuse(why: str) -> RuntimeError:
        return RuntimeError(f"istft(input of shape {list(input.shape)}, {n_fft=}, {hop_length=}, {win_length=}): {why}")

    if input.ndim < 2:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-1 - input.ndim}, {input.ndim}], but got -3)")
    n_frames, size = input.shape[-1], input.shape[-2]
    if not input.numel():
        raise refuse("input tensor cannot be empty.")
    if input.ndim > 3:
        raise refuse(f"expected a tensor with 3 or 4 dimensions, but got {input.ndim + 1}")
    if onesided is None:
        onesided = size != n_fft
    expected, words = (n_fft // 2 + 1, "n_fft / 2 + 1") if onesided else (n_fft, "n_fft")
    if size != expected:
        raise refuse(
            f"expected the frequency dimension (3rd to the last) of the input tensor to match {words} when onesided={onesided}, "
            f"but got {size}"
        )
    if not 0 < hop_length <= win_length:
        raise refuse("expected 0 < hop_length <= win_length")
    if not 0 < win_length <= n_fft:
        raise refuse("expected 0 < win_length <= n_fft")
    if window is not None and tuple(window.shape) != (win_length,):
        raise refuse("Invalid window shape. window has to be 1D and length of `win_length`")
    taper = _centred(window, win_length, n_fft, input)
    spectra = (input if input.ndim == 3 else input.unsqueeze(0)).transpose(1, 2)  # (B, frames, size)
    norm = "ortho" if normalized else "backward"
    if return_complex:
        if onesided:
            raise RuntimeError("Cannot have onesided output if window or input is complex")
        frames = complex_to_complex(spectra, (2,), norm, True)
    else:
        if window is not None and window.is_complex():
            raise RuntimeError("Complex windows are incompatible with return_complex=False")
        frames = complex_to_real(spectra.narrow(2, 0, n_fft // 2 + 1), (2,), n_fft, norm)
    total = n_fft + hop_length * (n_frames - 1)
    signal = _overlapped(frames * taper, n_fft, hop_length, total)
    weight = _overlapped((taper * taper).expand(1, n_frames, n_fft), n_fft, hop_length, total)
    start = n_fft // 2 if center else 0
    end = start + length if length is not None else total - n_fft // 2 if center else total
    kept = slice(start, min(end, total))
    signal, weight = signal[:, kept], weight[:, kept]
    if not weight.numel() or float(weight.detach().abs().min()) < 1e-11:
        raise refuse("window overlap add min: 1")
    signal = signal / weight
    if input.ndim == 2:
        signal = signal.squeeze(0)
    if end > total:
        warnings.warn(
            "The length of signal is shorter than the length parameter. Result is being padded with zeros in the tail. Please "
            "check your center and hop_length settings.",
            stacklevel=2,
        )
        signal = pad(signal, [0, end - total])
    return signal


def _centred(window: Tensor | None, length: int, n_fft: int, like: Tensor) -> Tensor:
    """`window`, or ones, of `length`, with zeros on both sides up to `n_fft`."""
    if window is None:
        window = ones(length, dtype=of_numpy(like._array.real.dtype))
    left = (n_fft - length) // 2
    return pad(window, [left, n_fft - length - left]) if length < n_fft else window


def _overlapped(frames: Tensor, n_fft: int, hop: int, total: int) -> Tensor:
    """(B, frames, n_fft) -> (B, total)"""
    out: Any = unfold_place(frames, 1, n_fft, hop, (frames.shape[0], total))
    return out  # type: ignore[no-any-return]
