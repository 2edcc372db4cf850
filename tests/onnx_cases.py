"""Models to export: for each a constructor, example inputs, and which sizes may change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import mini_dl as torch
from mini_dl import models, nn
from mini_dl.nn import functional as F
from mini_dl.onnx import export


@dataclass
class Case:
    """One model. `batch` says whether the first dimension of all inputs is dynamic. A shape is a tuple, or for indices
    (tuple, "int64")."""

    name: str
    model: Callable[[], nn.Module]
    shapes: tuple[Any, ...]
    batch: bool = True
    reference: bool = True  # whether onnx's reference evaluator can run it: it does not support groups in transposed convolutions

    def prepared(self) -> nn.Module:
        """The model in evaluation mode, with nontrivial running statistics."""
        torch.manual_seed(0)
        model = self.model().eval()
        for buffer in model.buffers():
            if buffer.dtype == torch.float32:
                buffer.uniform_(0.5, 1.5)
        return model

    def inputs(self, batch: int | None = None) -> tuple[torch.Tensor, ...]:
        """New inputs, for another batch size if given."""
        made = []
        for shape in self.shapes:
            indices = isinstance(shape[1], str)
            sizes = shape[0] if indices else shape
            sizes = sizes if batch is None else (batch, *sizes[1:])
            made.append(torch.randint(0, 7, sizes) if indices else torch.randn(sizes))
        return tuple(made)

    def exported(self, model: nn.Module) -> Any:
        """The program, with inputs x0, x1 ..."""
        args = self.inputs()
        names = [f"x{i}" for i in range(len(args))]
        return export(model, args, input_names=names, dynamic_axes={name: {0: "batch"} for name in names} if self.batch else None)

    def check(self, model: nn.Module, run: Callable[[dict[str, Any]], Sequence[Any]]) -> None:
        """`run` agrees with the model, on other numbers and for another batch size."""
        for batch in (None, 5) if self.batch else (None,):
            args = self.inputs(batch)
            found = run({f"x{i}": x.numpy() for i, x in enumerate(args)})
            with torch.no_grad():
                expected = flat(model(*args))
            assert len(found) == len(expected)
            for one, other in zip(found, expected):
                assert one.shape == other.shape and one.dtype == other.dtype
                np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-5)


def flat(results: Any) -> list[Any]:
    """The arrays of tensors in tuples."""
    if isinstance(results, torch.Tensor):
        return [results.detach().numpy()]
    return [one for part in results for one in flat(part)]


class Of(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: torch.Tensor) -> Any:
        return self.function(*args)


class First(nn.Module):
    """The first result of a module."""

    def __init__(self, inner: nn.Module, *fixed: Any) -> None:
        super().__init__()
        self.inner, self.fixed = inner, fixed

    def forward(self, *args: torch.Tensor) -> Any:
        return self.inner(*args, *self.fixed)[0]


class Padded(nn.Module):
    """Attention that masks some of the keys."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return self.inner(x, x, x, key_padding_mask=lengths == 6, need_weights=False)[0]


class InPlace(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        part = y[:, 1:3]
        y += 1
        y[:, 0] = x[:, 3]
        y[:, 2:4].mul_(x[:, :2])
        torch.relu_(part)
        z = torch.zeros(x.shape[0], 4)
        z[:, 1] = part[:, 0]
        flat = y.view(-1)
        flat.sub_(0.5)
        return y.clamp_(max=3.0) + z + part.sum()


class Sizes(nn.Module):
    """A function that reads the batch size."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, c = x.shape
        places = torch.arange(n).float() * 0.5
        mean = x.sum(0) / n
        return torch.cat([x, x.new_ones(n, 2), places[:, None], mean.expand(n, c), x.reshape(n * 2, -1).reshape(n, -1)], 1)


class Encoder(nn.Module):
    """Tokens, positions, two layers of causal attention, and the next token."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(7, 16), nn.Parameter(torch.randn(5, 16))
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
        self.layers, self.out = nn.TransformerEncoder(layer, 2), nn.Linear(16, 7)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(ids.shape[1])
        return self.out(self.layers(self.tokens(ids) + self.places, mask=mask))


def layer(name: str, make: Callable[[], nn.Module], *shapes: Any, **more: Any) -> Case:
    return Case(name, make, shapes, **more)


def call(name: str, function: Callable[..., Any], *shapes: Any, **more: Any) -> Case:
    return Case(name, lambda: Of(function), shapes, **more)


IMAGE = (2, 3, 12, 12)
SHALLOW = "resnet18", "resnet20", "resnet50"
"""The deeper ones are run by onnxruntime only: they have the same operators."""
MODELS = [
    layer("TwoLayerNet", lambda: models.TwoLayerNet(20, 8, 5), (3, 20)),
    layer("MultiLayerNet", lambda: models.MultiLayerNet(20, [8, 8], 5, batch_norm=True, dropout=0.5), (3, 20)),
    layer("SimpleNet", lambda: models.SimpleNet(), (3, 2)),
    layer("SimpleConvNet", lambda: models.SimpleConvNet(), (2, 1, 28, 28)),
    layer("LeNet", lambda: models.LeNet(), (2, 1, 28, 28)),
    layer("plain20", lambda: models.cifar_resnet(3, residual=False), (2, 3, 32, 32)),
    *[
        layer(name, lambda name=name: getattr(models, name)(num_classes=5), (1, 3, 32, 32), reference=name in SHALLOW)
        for name in sorted(vars(models))
        if name.startswith("resnet") and name != "resnet"  # which is their file
    ],
]
LAYERS = [
    layer("conv1d", lambda: nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2), (2, 4, 11)),
    layer("conv2d", lambda: nn.Conv2d(3, 6, (3, 2), stride=(1, 2), padding=(2, 0), dilation=(2, 1), bias=False), IMAGE),
    layer("conv2d_same", lambda: nn.Conv2d(3, 6, 4, padding="same"), IMAGE),
    layer("conv2d_depthwise", lambda: nn.Conv2d(4, 8, 3, padding=1, groups=4), (2, 4, 6, 6)),
    layer("conv2d_reflect", lambda: nn.Conv2d(3, 6, 3, padding=1, padding_mode="reflect"), IMAGE),
    layer("conv2d_circular", lambda: nn.Conv2d(3, 6, 3, padding=1, padding_mode="circular"), IMAGE),
    layer("conv3d", lambda: nn.Conv3d(2, 3, 2, padding=1), (2, 2, 4, 5, 6)),
    layer("conv_without_batch", lambda: nn.Conv2d(3, 6, 3), (3, 12, 12), batch=False),
    layer(
        "conv_transpose1d",
        lambda: nn.ConvTranspose1d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
        (2, 4, 5),
        reference=False,
    ),
    layer("conv_transpose2d", lambda: nn.ConvTranspose2d(3, 6, 3, stride=2, dilation=2), (2, 3, 5, 5)),
    layer("conv_transpose3d", lambda: nn.ConvTranspose3d(2, 3, 2, stride=2), (2, 2, 3, 3, 3)),
    layer("conv_transpose2d_beyond", lambda: nn.ConvTranspose2d(2, 2, 3, 2, 1, 3, dilation=4), (2, 2, 4, 4)),
    layer("conv_transpose2d_far", lambda: nn.ConvTranspose2d(2, 2, 1, 2, 0, 1, dilation=2), (2, 2, 4, 4)),
    layer("linear", lambda: nn.Linear(4, 3), (2, 5, 4)),
    layer("linear_without_bias", lambda: nn.Linear(4, 3, bias=False), (2, 4)),
    layer("bilinear", lambda: nn.Bilinear(4, 5, 3), (2, 4), (2, 5)),
    layer("max_pool1d", lambda: nn.MaxPool1d(3, 2, 1), (2, 3, 12)),
    layer("max_pool2d", lambda: nn.MaxPool2d(3, 2, 1, ceil_mode=True), (2, 3, 12, 11)),
    layer("max_pool3d", lambda: nn.MaxPool3d(2), (2, 3, 4, 6, 5)),
    layer("max_pool2d_dilated", lambda: nn.MaxPool2d(2, 1, dilation=2), IMAGE),
    layer("max_pool2d_places", lambda: nn.MaxPool2d(2, return_indices=True), (2, 3, 6, 6)),
    layer("avg_pool1d", lambda: nn.AvgPool1d(3, 2, 1), (2, 3, 12)),
    layer("avg_pool2d", lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False), IMAGE),
    layer("avg_pool2d_ceil", lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True), IMAGE),
    layer("avg_pool2d_divisor", lambda: nn.AvgPool2d(2, divisor_override=3), IMAGE),
    layer("avg_pool3d", lambda: nn.AvgPool3d(2), (2, 3, 4, 6, 6)),
    layer("adaptive_avg_pool2d", lambda: nn.AdaptiveAvgPool2d((5, 7)), IMAGE),
    layer("adaptive_avg_pool2d_1", lambda: nn.AdaptiveAvgPool2d(1), IMAGE),
    layer("adaptive_avg_pool1d", lambda: nn.AdaptiveAvgPool1d(4), (2, 3, 12)),
    layer("adaptive_max_pool2d", lambda: nn.AdaptiveMaxPool2d((3, 4)), IMAGE),
    layer("lp_pool2d", lambda: nn.LPPool2d(2, 2), IMAGE),
    layer("unpool2d", lambda: Of(lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2)), (2, 3, 6, 6)),
    layer("batch_norm1d", lambda: nn.BatchNorm1d(4), (3, 4)),
    layer("batch_norm2d", lambda: nn.BatchNorm2d(3, affine=False), IMAGE),
    layer("batch_norm3d", lambda: nn.BatchNorm3d(3), (2, 3, 2, 3, 4)),
    layer("batch_norm_untracked", lambda: nn.BatchNorm2d(3, track_running_stats=False), IMAGE),
    layer("layer_norm", lambda: nn.LayerNorm((3, 4)), (2, 5, 3, 4)),
    layer("layer_norm_plain", lambda: nn.LayerNorm(4, elementwise_affine=False), (2, 5, 4)),
    layer("rms_norm", lambda: nn.RMSNorm(4), (2, 5, 4)),
    layer("group_norm", lambda: nn.GroupNorm(2, 4), (2, 4, 5, 5)),
    layer("instance_norm", lambda: nn.InstanceNorm2d(3, affine=True), IMAGE),
    layer("local_response_norm", lambda: nn.LocalResponseNorm(3), IMAGE),
    layer("embedding", lambda: nn.Embedding(7, 4, padding_idx=0), ((2, 5), "int64")),
    layer("embedding_bag", lambda: nn.EmbeddingBag(7, 4, mode="mean"), ((2, 5), "int64"), batch=False),
    layer("dropout", lambda: nn.Sequential(nn.Dropout(), nn.Linear(4, 4), nn.AlphaDropout()), (2, 4)),
    layer("flatten", lambda: nn.Flatten(), (2, 3, 4)),
    layer("unflatten", lambda: nn.Unflatten(1, (2, 3)), (2, 6)),
    layer("pixel_shuffle", lambda: nn.PixelShuffle(2), (2, 8, 3, 3)),
    layer("channel_shuffle", lambda: nn.ChannelShuffle(2), (2, 8, 3, 3)),
    layer("unfold", lambda: nn.Unfold((2, 3), padding=1, stride=2), IMAGE),
    layer("fold", lambda: nn.Fold((6, 6), 2, stride=2), (2, 12, 9), reference=False),
    layer("upsample_nearest", lambda: nn.Upsample(scale_factor=2), (2, 3, 5, 5)),
    layer("upsample_bilinear", lambda: nn.Upsample(size=(7, 9), mode="bilinear", align_corners=True), (2, 3, 5, 5)),
    layer("upsample_bicubic", lambda: nn.Upsample(scale_factor=1.5, mode="bicubic"), (2, 3, 6, 6)),
    layer("zero_pad", lambda: nn.ZeroPad2d((1, 2, 0, -1)), IMAGE),
    layer("replicate_pad", lambda: nn.ReplicationPad2d((1, 2, 3, 0)), IMAGE),
    layer("circular_pad", lambda: nn.CircularPad2d((1, 2, 3, 0)), IMAGE),
    layer("cosine_similarity", lambda: nn.CosineSimilarity(), (2, 4), (2, 4)),
    layer("pairwise_distance", lambda: nn.PairwiseDistance(), (2, 4), (2, 4)),
    layer("rnn", lambda: nn.RNN(4, 5, batch_first=True), (2, 3, 4)),
    layer("rnn_relu", lambda: nn.RNN(4, 5, nonlinearity="relu", bidirectional=True), (3, 2, 4), batch=False),
    layer("lstm", lambda: nn.LSTM(4, 5, num_layers=2, bidirectional=True, batch_first=True), (2, 3, 4)),
    layer("lstm_state", lambda: Of(nn.LSTM(4, 5, bias=False)), (3, 2, 4), batch=False),
    layer("lstm_projected", lambda: nn.LSTM(4, 5, proj_size=2, batch_first=True), (2, 3, 4)),
    layer("gru", lambda: nn.GRU(4, 5, num_layers=2, bidirectional=True, batch_first=True), (2, 3, 4)),
    layer("gru_without_bias", lambda: nn.GRU(4, 5, bias=False, batch_first=True), (2, 3, 4)),
    layer("lstm_cell", lambda: nn.LSTMCell(4, 5), (2, 4)),
    layer("gru_cell", lambda: nn.GRUCell(4, 5), (2, 4)),
    layer("attention", lambda: nn.MultiheadAttention(8, 2, batch_first=True), (2, 3, 8), (2, 5, 8), (2, 5, 8)),
    layer("attention_with_padding", lambda: Padded(nn.MultiheadAttention(8, 2, batch_first=True)), (2, 5, 8), ((2, 5), "int64")),
    layer("encoder_layer", lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (2, 5, 8)),
    layer("encoder_layer_first", lambda: nn.TransformerEncoderLayer(8, 2, 16, norm_first=True, activation="gelu"), (5, 2, 8)),
    layer("decoder_layer", lambda: nn.TransformerDecoderLayer(8, 2, 16, batch_first=True), (2, 3, 8), (2, 5, 8)),
    layer("transformer", lambda: nn.Transformer(8, 2, 1, 1, 16, batch_first=True), (2, 5, 8), (2, 3, 8)),
    layer("encoder", Encoder, ((2, 5), "int64")),
    layer("in_place", InPlace, (3, 4)),
    layer("sizes", Sizes, (3, 4)),
]
ACTIVATIONS = [
    layer(make.__name__, make, (2, 3, 4, 4))
    for make in (
        nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Sigmoid, nn.Tanh,
        nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.Hardshrink, nn.Softshrink, nn.Tanhshrink, nn.Softsign, nn.Softplus,
        nn.LogSigmoid, nn.Softmax2d, nn.Identity,
    )
]  # fmt: skip
ACTIVATIONS += [
    layer("celu_2", lambda: nn.CELU(2.0), (2, 4)),
    layer("softplus_2", lambda: nn.Softplus(2.0, 5.0), (2, 4)),
    layer("gelu_tanh", lambda: nn.GELU("tanh"), (2, 4)),
    layer("threshold", lambda: nn.Threshold(0.1, 20.0), (2, 4)),
    layer("glu", lambda: nn.GLU(), (2, 4)),
    layer("softmax", lambda: nn.Softmax(1), (2, 4, 3)),
    layer("softmin", lambda: nn.Softmin(1), (2, 4, 3)),
    layer("log_softmax", lambda: nn.LogSoftmax(-1), (2, 4, 3)),
]
X, Y, IDS = (2, 3, 4), (2, 1, 4), ((2, 3, 4), "int64")
UNARY = (
    "exp exp2 expm1 sin cos tan sinh cosh tanh atan asinh erf erfc abs neg sign floor ceil trunc frac round square sigmoid "
    "deg2rad sinc isnan isinf isfinite logical_not nan_to_num"
)
BINARY = (
    "add sub mul div maximum minimum fmod remainder floor_divide hypot logaddexp eq ne lt le gt ge logical_and logical_or "
    "logical_xor"
)
CALLS = [
    *[call(name, getattr(torch, name), X) for name in UNARY.split()],
    *[call(name, getattr(torch, name), X, Y) for name in BINARY.split()],
    *[call(f"{name}_of_integers", getattr(torch, name), IDS) for name in "abs neg exp square bitwise_not".split()],
    call("bitwise", lambda a, b: (a & b, a | b, a ^ b), IDS, IDS),
    call("division_of_integers", lambda a, b: (a // (b - 3.5).sign().long(), a % -3, a / 2), IDS, IDS),
    call("types", lambda a, b: (a + b, a * 2.5, b > a, a.double() + b, b.bool(), b.int() + 1), X, IDS),
    call("roots", lambda x: (x.abs().sqrt(), (x.abs() + 1).rsqrt(), (x * x + 1).log(), x.abs().log1p(), 1 / (x + 9)), X),
    call("logs", lambda x: ((x * x + 1).log2(), (x * x + 1).log10(), torch.logit(x.sigmoid()), x.sigmoid().asin()), X),
    call("powers", lambda x: (x**2, x**3, x.abs() ** 0.5, 2**x, x.abs() ** x), X),
    call("chosen", lambda x, y: (torch.where(x > y, x, 0), x.masked_fill(x < 0, 7.0), x.clamp(-0.5), x.clip(max=y)), X, Y),
    call("reductions", lambda x: (x.sum(), x.mean(1), x.prod(-1, keepdim=True), x.amax((0, 2)), x.min(), x.logsumexp(1)), X),
    call("spreads", lambda x: (x.std(1), x.var((1, 2), keepdim=True), x.var(2, correction=0), x.norm(), x.norm(1, dim=1)), X),
    call("places", lambda x: (x.argmax(1), x.argmin(-1, keepdim=True), x.argmax(), *x.max(1), *x.topk(2), *x.sort(1)), X),
    call("truths", lambda x: ((x > 0).any(1), (x > 0).all(), (x > 0).sum(1), torch.count_nonzero(x.relu(), 2)), X),
    call("scans", lambda x: (x.cumsum(1), x.flip(1), x.roll(1, 2), x.roll((1, 2), (1, 2))), X),
    call("shapes", lambda x: (x.permute(2, 0, 1), x.mT, x.unsqueeze(1), x[:, :1].squeeze(1), x.reshape(-1, 4), x.flatten()), X),
    call("parts", lambda x: (x[:, 1], x[..., 1:3], x[:, ::2], x[:, None, -1], x[:, -2:], *x.chunk(2, 2), *x.unbind(1)), X),
    call(
        "more_parts",
        lambda x: (*x.split([1, 2], 1), x.narrow(1, 1, 2), x.select(2, 3), x.unfold(2, 2, 1), x.diagonal(0, 1, 2)),
        X,
    ),
    call("joined", lambda x, y: (torch.cat([x, y], 1), torch.stack([x, x + 1], 1), torch.cat([x, y.double()], 1)), X, Y),
    call("repeated", lambda x, y: (x.repeat(1, 2, 1), y.expand(-1, 3, 4), x.tile(2, 1, 1, 1), y.broadcast_to(x.shape)), X, Y),
    call("triangles", lambda x: (x.tril(), x.triu(1), x.tril(-1)), X),
    call("products", lambda x, y: (x @ x.mT, x @ y[0, 0], torch.einsum("bij,bkj->bik", x, y), torch.bmm(x, x.mT)), X, Y),
    call("affine", lambda x: torch.addmm(x[:, 0, :3], x[:, 0], torch.ones(4, 3), beta=0.5, alpha=2), X),
    call("gathered", lambda x, i: (x.gather(1, i % 3), x.take(i), x[:, [2, 0]]), X, IDS),
    call("indexed", lambda x, i: (x[i % 2], x[:, i[0, 0] % 3], x[i % 2, i % 3], x[:, i[0] % 3, i[0] % 4]), X, IDS, batch=False),
    call("selected", lambda x, i: (x.index_select(1, i[0, 0] % 3), x.index_select(0, i[0, 1] % 2)), X, IDS),
    call("scattered", lambda x, i: (x.scatter(2, i % 4, 1.5), torch.zeros_like(x).scatter_add(1, i % 3, x)), X, IDS),
    call("rows", lambda x, i: x.index_add(1, i[0, 0] % 3, torch.ones(x.shape[0], 4, 4), alpha=2), X, IDS),
    call(
        "more_rows", lambda x: (x.index_fill(1, torch.tensor([0, 2]), 3.0), x.index_copy(2, torch.tensor(1), x[:, :, :1] * 2)), X
    ),
    call("reduced", lambda x, i: [x.scatter_reduce(1, i % 3, x * 2, how) for how in ("sum", "prod", "amax", "amin")], X, IDS),
    call("slices", lambda x: (x.slice_scatter(x[:, :2] + 1, 1, 1, 3), x.select_scatter(x[:, 0] * 2, 1, -1)), X),
    call("angles", lambda x, y: (torch.atan2(x, y), torch.atan2(x, x * 0), torch.logaddexp2(x, y), torch.heaviside(x, y)), X, Y),
    call("losses", lambda x, y: (F.huber_loss(x, y, delta=0.7), F.binary_cross_entropy(x.sigmoid(), y.sigmoid())), X, X),
    call("nan_sums", lambda x: (x.masked_fill(x > 0, torch.nan).nansum(1), x.nanmean(2)), X),
    call(
        "numbers",
        lambda x: [f(x.sum()) for f in (torch.exp, lambda t: t.softmax(0), lambda t: t.cumsum(0), torch.sum, torch.norm)],
        X,
    ),
    call("one_hot", lambda i: F.one_hot(i, 7).float(), IDS),
    call("put", lambda x, i: x.index_put((i[:, 0, 0] % 2,), torch.ones(3, 4)), X, IDS, batch=False),
    call("padded", lambda x: (F.pad(x, (1, 2), value=3.0), F.pad(x, (1, 2), "reflect"), F.pad(x, (0, -1, 1, 1))), X),
    call("attended", lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True), (2, 2, 3, 4)),
    call("attended_with_mask", lambda x, m: F.scaled_dot_product_attention(x, x, x, m), (2, 2, 3, 4), (1, 1, 3, 3), batch=False),
    call("attended_by_some", lambda x, m: F.scaled_dot_product_attention(x, x, x, m > 2), (2, 2, 3, 4), ((2, 1, 1, 3), "int64")),
    call("normalized", lambda x: (F.normalize(x, dim=1), F.layer_norm(x, (4,)), F.softmax(x, 0)), X),
    call("interpolated", lambda x: F.interpolate(x, scale_factor=0.5, mode="nearest"), (2, 3, 8, 8)),
    call("double", lambda x: (x.double().exp().sum(1), x.half().float()), X),
    call("fixed_numbers", lambda x: x + torch.arange(4) + torch.linspace(0, 1, 4) * torch.eye(4)[0], X),
]
CASES = [*MODELS, *LAYERS, *ACTIVATIONS, *CALLS]
