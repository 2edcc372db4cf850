"""The shared docstrings of functions and modules over one, two and three dimensions (`_families`): one text each, in which the
names of the dimensions are filled in. ``Family: max pooling 2d`` in a docstring is replaced by the text of "max pooling" with
H and W."""

from __future__ import annotations

CONVOLVED = "{size}' = ({size} + 2 * padding - dilation * ({k} - 1) - 1) // stride + 1{likewise}."
SPREAD = "{size}' = ({size} - 1) * stride - 2 * padding + dilation * ({k} - 1) + output_padding + 1{likewise}."
ARITHMETIC = "Dumoulin and Visin, A guide to convolution arithmetic for deep learning, 2016, section "
NO_ROOM = (
    "RuntimeError if no window fits into the padded input, for a `padding` of over half a window, and for other numbers of\n"
)
NO_ROOM += "dimensions."

TEXTS: dict[str, dict[str, str]] = {
    "convolution": {
        "Shapes": "input (N, C, {space}), weight (O, C / groups, {kernel}), bias (O) -> (N, O, {out}), also without N, with\n"
        + CONVOLVED,
        "Raises": "RuntimeError for channels, groups, sizes or a `padding` that do not fit together.",
        "Source": ARITHMETIC + "2.",
    },
    "transposed convolution": {
        "Shapes": "input (N, C, {space}), weight (C, O / groups, {kernel}), bias (O) -> (N, O, {out}), also without N, with\n"
        + SPREAD,
        "Raises": "RuntimeError for channels, groups or sizes that do not fit together, and unless `output_padding` is less\n"
        "than `stride` or `dilation`.",
        "Source": ARITHMETIC + "4.",
    },
    "gradient of a convolution": {
        "Shapes": "the other argument and `grad_output` (N, O, {out}) -> the given size: (N, C, {space}) of an input,\n"
        "or (O, C / groups, {kernel}) of a weight.",
        "Raises": "RuntimeError for sizes that do not fit together.",
        "Source": ARITHMETIC + "4.",
    },
    "convolution layer": {
        "Shapes": "(N, in_channels, {space}) -> (N, out_channels, {out}), also without N, with\n" + CONVOLVED,
        "Raises": "ValueError unless `groups` divides both numbers of channels, for an unknown `padding_mode`, and for a\n"
        '`stride` with `padding` "same"; RuntimeError for an input with other channels or smaller than the kernel.',
        "Source": ARITHMETIC + "2.",
    },
    "transposed convolution layer": {
        "Shapes": "(N, in_channels, {space}) -> (N, out_channels, {out}), also without N, with\n" + SPREAD,
        "Raises": 'ValueError unless `groups` divides both numbers of channels, for a `padding_mode` other than "zeros", and\n'
        "for an `output_size` out of reach; RuntimeError for an input with another number of channels.",
        "Source": ARITHMETIC + "4.",
    },
    "max pooling": {
        "Shapes": "(N, C, {space}) -> (N, C, {out}), also without N, with\n"
        "{size}' = ({size} + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1{likewise}, rounded up if `ceil_mode`.",
        "Raises": NO_ROOM,
        "Source": ARITHMETIC + "3.",
    },
    "mean pooling": {
        "Shapes": "(N, C, {space}) -> (N, C, {out}), also without N, with\n"
        "{size}' = ({size} + 2 * padding - kernel_size) // stride + 1{likewise}, rounded up if `ceil_mode`.",
        "Raises": NO_ROOM,
        "Source": ARITHMETIC + "3.",
    },
    "power pooling": {
        "Shapes": "(N, C, {space}) -> (N, C, {out}), also without N, with\n"
        "{size}' = ({size} - kernel_size) // stride + 1{likewise}, rounded up if `ceil_mode`.",
        "Raises": "RuntimeError if no window fits into the input, and for other numbers of dimensions.",
    },
    "adaptive pooling": {
        "Shapes": "(N, C, {space}) -> (N, C, {out}), the sizes `output_size`, also without N.",
        "Raises": "RuntimeError for other numbers of dimensions, and for a negative size.",
    },
    "unpooling": {
        "Shapes": "`input` and `indices` (N, C, {space}) -> (N, C, {out}), also without N, with\n"
        "{size}' = ({size} - 1) * stride - 2 * padding + kernel_size{likewise}, or the sizes `output_size`.",
        "Raises": "RuntimeError for indices of another shape or type, or outside the output; ValueError for an `output_size`\n"
        "out of reach.",
        "Source": "Zeiler and Fergus, Visualizing and understanding convolutional networks, 2014, section 2.1.",
    },
    "fractional pooling": {
        "Shapes": "(N, C, {space}) -> (N, C, {out}), also without N: the sizes `output_size`, or `output_ratio` of the input's.",
        "Raises": "ValueError unless `output_size` or `output_ratio` is given; RuntimeError if the windows do not fit.",
        "Source": "Graham, Fractional max-pooling, 2014, section 2.",
    },
    "batch norm": {
        "Shapes": "{batch} -> the same.",
        "Raises": "ValueError for other numbers of dimensions, and in training for one value per channel; RuntimeError for\n"
        "another number of channels.",
        "Source": "Ioffe and Szegedy, Batch normalization, 2015, section 3.",
    },
    "instance norm": {
        "Shapes": "(N, C, {space}) -> the same, also without N.",
        "Raises": "ValueError for other numbers of dimensions, one element per channel, and, if `affine`, another number of\n"
        "channels.",
        "Source": "Ulyanov, Vedaldi and Lempitsky, Instance normalization, 2016, section 2.",
    },
    "padding": {
        "Shapes": "(N, C, {space}) -> (N, C, {out}), also without N, with {size}' = {size} + before + after{likewise}.",
        "Raises": "RuntimeError for too few dimensions, and for a negative padding that removes too much.",
    },
    "padding from the input": {
        "": "`padding` is one number, or (before, after) of each dimension, the last first; a negative one removes elements.",
        "Shapes": "(N, C, {space}) -> (N, C, {out}), also without N, with {size}' = {size} + before + after{likewise}.",
        "Raises": "RuntimeError or NotImplementedError for other numbers of dimensions; RuntimeError for a padding out of reach.",
    },
}
"""By name, the texts after ``Shapes:``, ``Raises:`` and ``Source:``."""

INDICES = {1: "single indices", 2: "pairs of indices", 3: "triples of indices"}
"""The meaning of the letters in a formula."""

NAMES = {1: ["L"], 2: ["H", "W"], 3: ["D", "H", "W"]}


def of_spaces() -> dict[str, dict[str, str]]:
    """The families of `TEXTS` over one, two and three dimensions, by names that end in 1d, 2d and 3d."""
    words = {n: _words(n) for n in NAMES}
    return {
        f"{name} {n}d": {part: text.format(**words[n]) for part, text in parts.items()}
        for name, parts in TEXTS.items()
        for n in NAMES
    }


def _words(n: int) -> dict[str, str]:
    """The replacements of the braces."""
    names, kernel = NAMES[n], [f"K{i}" for i in range(1, n + 1)] if n > 1 else ["K"]
    space, others = ", ".join(names), " and ".join([f"{name}'" for name in names[1:]])
    return {
        "space": space,
        "out": ", ".join([f"{name}'" for name in names]),
        "size": names[0],
        "likewise": f" ({others} likewise)" if others else "",
        "kernel": ", ".join(kernel),
        "k": kernel[0],
        "batch": "(N, C) or (N, C, L)" if n == 1 else f"(N, C, {space})",
    }
