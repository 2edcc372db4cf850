"""x-transformers: attention models with their many options."""

import torch
from x_transformers import AutoregressiveWrapper, Decoder, Encoder, TransformerWrapper, ViTransformerWrapper, XTransformer

from programs.case import function, images, model, tokens


def decoder(**options):
    return lambda: TransformerWrapper(
        num_tokens=40, max_seq_len=24, attn_layers=Decoder(dim=32, depth=2, heads=4, attn_dim_head=8, **options)
    )


for name, options in {
    "plain": {},
    "rotary": {"rotary_pos_emb": True},
    "alibi": {"alibi_pos_bias": True, "alibi_num_heads": 2},
    "relative": {"rel_pos_bias": True},
    "rmsnorm": {"use_rmsnorm": True, "ff_glu": True, "ff_swish": True},
    "one_kv_head": {"attn_one_kv_head": True},
    "qk_norm": {"attn_qk_norm": True},
    "talking_heads": {"attn_pre_talking_heads": True},
    "sandwich": {"sandwich_norm": True},
    "gated": {"gate_residual": True},
}.items():
    model(f"decoder_{name}", decoder(**options), tokens(40, 2, 12), single=True)
model(
    "encoder",
    lambda: TransformerWrapper(num_tokens=40, max_seq_len=24, attn_layers=Encoder(dim=32, depth=2, heads=4)),
    tokens(40, 2, 12),
    single=True,
)
model(
    "vit",
    lambda: ViTransformerWrapper(image_size=32, patch_size=8, num_classes=5, attn_layers=Encoder(dim=32, depth=2, heads=4)),
    images(32),
)
model(
    "both",
    lambda: XTransformer(
        dim=32,
        enc_num_tokens=40,
        enc_depth=1,
        enc_heads=4,
        enc_max_seq_len=16,
        dec_num_tokens=40,
        dec_depth=1,
        dec_heads=4,
        dec_max_seq_len=16,
    ),
    tokens(40, 2, 10),
    tokens(40, 2, 9),
    single=True,
)


@function
def generated():
    net = AutoregressiveWrapper(decoder()())
    loss = net(torch.randint(40, (2, 16)))
    loss.backward()
    return loss, net.generate(torch.randint(40, (1, 3)), 6)
