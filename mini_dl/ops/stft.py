"""The short-time Fourier transform and its inverse."""

from __future__ import annotations

from mini_dl._checks import warn_once
from mini_dl._dtypes import HALVES, of_numpy, scalar_name
from mini_dl._surface import method
from mini_dl.ops.complex_numbers import view_as_real
from mini_dl.ops.creation import ones
from mini_dl.ops.fft import complex_to_complex, complex_to_real, real_to_complex
from mini_dl.ops.padding import pad
from mini_dl.ops.parts import unfold_place
from mini_dl.tensor import Tensor

NO_WINDOW_TO_ANALYZE_WITH = (
    "A window was not provided. A rectangular window will be applied,which is known to cause spectral leakage. Other "
    "windows such as torch.hann_window or torch.hamming_window are recommended to reduce spectral leakage.To suppress "
    "this warning and use a rectangular window, explicitly set `window=torch.ones(n_fft, device=<device>)`."
)
NO_WINDOW_TO_INVERT_WITH = (
    "A window was not provided. A rectangular window will be applied.Please provide the same window used by stft to make "
    "the inversion lossless.To suppress this warning and use a rectangular window, explicitly set "
    "`window=torch.ones(n_fft, device=<device>)`."
)


class _Call:
    """The lengths of one call of `name`, and its errors."""

    def __init__(
        self, name: str, input: Tensor, n_fft: int, hop_length: int | None, win_length: int | None, window: Tensor | None
    ) -> None:
        self.name, self.input, self.n_fft, self.window = name, input, n_fft, window
        self.hop_length = n_fft >> 2 if hop_length is None else hop_length
        self.win_length = n_fft if win_length is None else win_length

    def window_fits(self) -> bool:
        return self.window is None or tuple(self.window.shape) == (self.win_length,)

    def refused(self, why: str) -> RuntimeError:
        lengths = f"n_fft={self.n_fft}, hop_length={self.hop_length}, win_length={self.win_length}"
        return RuntimeError(f"{self.name}(input of shape {list(self.input.shape)}, {lengths}): {why}")


@method()
def stft(
    input: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None, window: Tensor | None = None,
    center: bool = True, pad_mode: str = "reflect", normalized: bool = False, onesided: bool | None = None,
    return_complex: bool | None = None, align_to_window: bool | None = None,
) -> Tensor:  # fmt: skip
    """The spectrum of each frame of `n_fft` samples:
    ``out[f, t] = sum(w[k] * input[t * hop + k] * exp(-2 * pi * i * f * k / n_fft), k)``

    The frames are `hop_length` apart, w is the `window` of `win_length`, centered in the frame. With `center`, frame t is
    centered at ``t * hop_length``.

    Shapes: (*B, L) -> (*B, n_fft // 2 + 1 or n_fft, frames).
    Raises: RuntimeError if the lengths do not match, and for a real input without `return_complex`.

    >>> torch.stft(torch.ones(8), 4, window=torch.hann_window(4), return_complex=True).abs()
    tensor([[2., 2., 2., 2., 2., 2., 2., 2., 2.],
            [1., 1., 1., 1., 1., 1., 1., 1., 1.],
            [0., 0., 0., 0., 0., 0., 0., 0., 0.]])
    """
    if center and align_to_window is not None:
        raise RuntimeError("stft align_to_window should only be set when center = false")
    if center:
        input = _with_margins(input, n_fft // 2, pad_mode)
    if window is None:
        warn_once(NO_WINDOW_TO_ANALYZE_WITH)
    call = _Call("stft", input, n_fft, hop_length, win_length, window)
    return_complex = _returns_complex(input, window, return_complex)
    input = _checked_signal(call, align_to_window)
    frames = input.unfold(-1, n_fft, call.hop_length)  # (*B, frames, n_fft)
    if window is not None or call.win_length < n_fft:
        frames = frames * _centered(window, call.win_length, n_fft, input)
    out = _spectra(frames, "ortho" if normalized else "backward", onesided).transpose(-1, -2)
    return out if return_complex else view_as_real(out)


def _with_margins(input: Tensor, margin: int, mode: str) -> Tensor:
    ndim = input.ndim
    signal = input.reshape([1] * (3 - ndim) + list(input.shape))
    signal = pad(signal, [margin, margin], mode)
    return signal.reshape(signal.shape[-ndim:] if ndim else ())


def _returns_complex(input: Tensor, window: Tensor | None, return_complex: bool | None) -> bool:
    if return_complex is None:
        return_complex = input.is_complex() or (window is not None and window.is_complex())
        if not return_complex:
            raise RuntimeError(
                "stft requires the return_complex parameter be given for real inputs, and will further require that "
                "return_complex=True in a future PyTorch release."
            )
    if not return_complex:
        warn_once(
            "stft with return_complex=False is deprecated. In a future pytorch release, stft will return complex tensors for all "
            "inputs, and return_complex=False will raise an error.\nNote: you can still call torch.view_as_real on the complex "
            "output to recover the old return format.",
        )
    return return_complex


def _checked_signal(call: _Call, align_to_window: bool | None) -> Tensor:
    """The signal to be divided into frames. RuntimeError if the lengths do not match."""
    input, n_fft, win_length = call.input, call.n_fft, call.win_length
    if not (input.is_floating_point() or input.is_complex()):
        raise call.refused("expected a tensor of floating point or complex values")
    if input.ndim not in (1, 2):
        raise call.refused("expected a 1D or 2D tensor")
    if align_to_window:
        side = (n_fft - win_length) // 2
        input = call.input = pad(input, [side, side])
    length = input.shape[-1]
    if not 0 < n_fft <= length:
        raise call.refused(f"expected 0 < n_fft < {length}, but got n_fft={n_fft}")
    if call.hop_length <= 0:
        raise call.refused(f"expected hop_length > 0, but got hop_length={call.hop_length}")
    if not 0 < win_length <= n_fft:
        raise call.refused(f"expected 0 < win_length <= n_fft, but got win_length={win_length}")
    if call.window is not None and not call.window_fits():
        raise call.refused(
            f"expected a 1D window tensor of size equal to win_length={win_length}, but got window with size "
            f"{list(call.window.shape)}"
        )
    return input


def _spectra(frames: Tensor, norm: str, onesided: bool | None) -> Tensor:
    """(*B, frames, n_fft) -> (*B, frames, n_fft // 2 + 1 or n_fft)"""
    whole = frames.is_complex()
    if whole and onesided:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    if frames._array.dtype.char in HALVES:
        raise RuntimeError(f"MKL FFT doesn't support tensors of type: {scalar_name(frames._array.dtype)}")
    last = (frames.ndim - 1,)
    if whole or onesided is False:
        return complex_to_complex(frames, last, norm, False)
    return real_to_complex(frames, last, norm)


@method()
def istft(
    input: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None, window: Tensor | None = None,
    center: bool = True, normalized: bool = False, onesided: bool | None = None, length: int | None = None,
    return_complex: bool = False,
) -> Tensor:  # fmt: skip
    """The signal whose `stft` is `input`, or closest to it:
    ``out[s] = sum(w[s - t * hop] * frame[t, s - t * hop], t) / sum(w[s - t * hop] ** 2, t)``

    The frames are the inverse transforms of the columns, w is the `window`.

    Shapes: (*B, n_fft // 2 + 1 or n_fft, frames) -> (*B, L).
    Raises: RuntimeError if the sum of the squared windows is 0, and if the shapes do not match.
    Source: Griffin and Lim, Signal estimation from modified short-time Fourier transform, 1984.

    >>> x, window = torch.arange(8.0), torch.hann_window(4)
    >>> spectrum = torch.stft(x, 4, window=window, return_complex=True)
    >>> torch.istft(spectrum, 4, window=window, length=8)
    tensor([0., 1., 2., 3., 4., 5., 6., 7.])
    """
    if window is None:
        warn_once(NO_WINDOW_TO_INVERT_WITH)
    call = _Call("istft", input, n_fft, hop_length, win_length, window)
    onesided = _checked_spectra(call, onesided)
    taper = _centered(window, call.win_length, n_fft, input)
    frames = _frames(call, "ortho" if normalized else "backward", onesided, return_complex)
    n_frames = input.shape[-1]
    total = n_fft + call.hop_length * (n_frames - 1)
    signal = _overlapped(frames * taper, n_fft, call.hop_length, total)
    weight = _overlapped((taper * taper).expand(1, n_frames, n_fft), n_fft, call.hop_length, total)
    start = n_fft // 2 if center else 0
    end = start + length if length is not None else total - n_fft // 2 if center else total
    kept = slice(start, min(end, total))
    signal, weight = signal[:, kept], weight[:, kept]
    if not weight.numel() or float(weight.detach().abs().min()) < 1e-11:
        raise call.refused("window overlap add min: 1")
    signal = signal / weight
    if input.ndim == 2:
        signal = signal.squeeze(0)
    if end > total:
        warn_once(
            "The length of signal is shorter than the length parameter. Result is being padded with zeros in the tail. Please "
            "check your center and hop_length settings.",
        )
        signal = pad(signal, [0, end - total])
    return signal


def _checked_spectra(call: _Call, onesided: bool | None) -> bool:
    """Whether half of each spectrum is given. RuntimeError if the lengths do not match."""
    input, n_fft, win_length = call.input, call.n_fft, call.win_length
    if not input.is_complex():
        raise RuntimeError("istft requires a complex-valued input tensor matching the output from stft with return_complex=True.")
    if input.ndim < 2:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-1 - input.ndim}, {input.ndim}], but got -3)")
    size = input.shape[-2]
    if not input.numel():
        raise call.refused("input tensor cannot be empty.")
    if input.ndim > 3:
        raise call.refused(f"expected a tensor with 3 or 4 dimensions, but got {input.ndim + 1}")
    if onesided is None:
        onesided = size != n_fft
    expected, words = (n_fft // 2 + 1, "n_fft / 2 + 1") if onesided else (n_fft, "n_fft")
    if size != expected:
        raise call.refused(
            f"expected the frequency dimension (3rd to the last) of the input tensor to match {words} when onesided={onesided}, "
            f"but got {size}"
        )
    if not 0 < call.hop_length <= win_length:
        raise call.refused("expected 0 < hop_length <= win_length")
    if not 0 < win_length <= n_fft:
        raise call.refused("expected 0 < win_length <= n_fft")
    if not call.window_fits():
        raise call.refused("Invalid window shape. window has to be 1D and length of `win_length`")
    return onesided


def _frames(call: _Call, norm: str, onesided: bool, return_complex: bool) -> Tensor:
    """The inverse transforms of the spectra: (B, frames, n_fft)"""
    spectra = (call.input if call.input.ndim == 3 else call.input.unsqueeze(0)).transpose(1, 2)  # (B, frames, size)
    if return_complex:
        if onesided:
            raise RuntimeError("Cannot have onesided output if window or input is complex")
        return complex_to_complex(spectra, (2,), norm, True)
    if call.window is not None and call.window.is_complex():
        raise RuntimeError("Complex windows are incompatible with return_complex=False")
    return complex_to_real(spectra.narrow(2, 0, call.n_fft // 2 + 1), (2,), call.n_fft, norm)


def _centered(window: Tensor | None, length: int, n_fft: int, like: Tensor) -> Tensor:
    """`window`, or ones, of `length`, with zeros on both sides up to `n_fft`."""
    if window is None:
        window = ones(length, dtype=of_numpy(like._array.real.dtype))
    left = (n_fft - length) // 2
    return pad(window, [left, n_fft - length - left]) if length < n_fft else window


def _overlapped(frames: Tensor, n_fft: int, hop: int, total: int) -> Tensor:
    """(B, frames, n_fft) -> (B, total)"""
    out: Tensor = unfold_place(frames, 1, n_fft, hop, (frames.shape[0], total))
    return out
