"""The names of torch's operators for our primitives: for profiles, and for functions that depend on the operator."""

from __future__ import annotations

NAMES = {
    "_rows": "mm", "_batched": "bmm", "_affine": "addmm", "_weighted_sum": "addmm", "_dot": "dot", "_paired": "mm",
    "_add": "add.Tensor", "_sub": "sub.Tensor", "mul": "mul.Tensor", "_div": "div.Tensor",
    "_floor_div": "div.Tensor_mode", "_trunc_div": "div.Tensor_mode", "remainder": "remainder.Scalar",
    "_pow": "pow.Tensor_Tensor", "_pow_number": "pow.Tensor_Scalar", "eq": "eq.Tensor", "ne": "ne.Tensor",
    "conv": "convolution", "conv_input": "convolution_backward", "conv_weight": "convolution_backward",
    "_attention": "_scaled_dot_product_flash_attention_for_cpu", "_softmax": "_softmax", "_log_softmax": "_log_softmax",
    "_attention_backward": "_scaled_dot_product_flash_attention_for_cpu_backward",
    "_row_norm": "native_layer_norm", "_channel_norm": "native_batch_norm", "_scaled": "native_batch_norm",
    "evaluated": "native_batch_norm",
    "_cross_entropy": "nll_loss_forward",
    "_sum": "sum.dim_IntList", "_mean": "mean.dim", "_var": "var.correction", "_std": "std.correction",
    "_maxima": "max_pool2d_with_indices", "_means": "avg_pool2d", "_cast": "_to_copy", "_copy": "clone", "_copied": "copy_",
    "_vector_norm": "linalg_vector_norm", "_cholesky": "linalg_cholesky_ex", "_inv": "linalg_inv_ex", "_svd": "_linalg_svd",
    "_solve": "_linalg_solve_ex", "_triangular": "linalg_solve_triangular", "_det": "_linalg_det", "_eigh": "_linalg_eigh",
    "_qr": "linalg_qr", "_eig": "linalg_eig", "_slogdet": "_linalg_slogdet", "_pinv": "linalg_pinv",
    "complex_to_complex": "_fft_c2c", "complex_to_real": "_fft_c2r", "real_to_complex": "_fft_r2c",
    "_clamp_to": "clamp", "_conjugate": "_conj", "_gelu_tanh": "gelu", "_silu": "silu", "_place": "diag_embed",
    "_masked_fill": "masked_fill.Scalar", "_index": "index.Tensor", "_resample": "upsample_bilinear2d",
    "_rows_at": "embedding", "_rows_summed": "embedding_dense_backward", "_pad_constant": "constant_pad_nd",
    "_lstm_steps": "mkldnn_rnn_layer", "_gru_steps": "gru.input", "_bce": "binary_cross_entropy",
}  # fmt: skip
"""The operator, with its overload unless it is the default one, for primitives with a different name."""


def operator_named(primitive: str) -> tuple[str, str]:
    """The name of torch's operator for a primitive, and that of its overload."""
    name, _, overload = NAMES.get(primitive, primitive.lstrip("_")).partition(".")
    return name, overload or "default"
