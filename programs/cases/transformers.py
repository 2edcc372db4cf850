"""transformers: models with tiny configurations and random weights."""

import torch
import transformers as t

from programs.case import function, images, model, numbers, tokens

TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48, "vocab_size": 60}
GROUPED = TINY | {"num_key_value_heads": 2, "max_position_embeddings": 64}


def built(kind, config):
    def build():
        made = config()
        made._attn_implementation = "eager"
        return getattr(t, kind)(made).train(False)

    return build


def text(name, kind, config, **options):
    model(name, built(kind, config), tokens(50, 2, 12), single=True, **options)


text("bert", "BertForSequenceClassification", lambda: t.BertConfig(**TINY))
text("distilbert", "DistilBertModel", lambda: t.DistilBertConfig(vocab_size=60, dim=32, n_layers=2, n_heads=4, hidden_dim=48))
text("roberta", "RobertaForMaskedLM", lambda: t.RobertaConfig(**TINY, max_position_embeddings=64))
text("electra", "ElectraForTokenClassification", lambda: t.ElectraConfig(**TINY, embedding_size=16))
text("albert", "AlbertModel", lambda: t.AlbertConfig(**TINY, embedding_size=16))
text("deberta", "DebertaV2Model", lambda: t.DebertaV2Config(**TINY))
text("gpt2", "GPT2LMHeadModel", lambda: t.GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=60, n_positions=64))
text("gpt_neo", "GPTNeoXForCausalLM", lambda: t.GPTNeoXConfig(**TINY))
text(
    "opt",
    "OPTForCausalLM",
    lambda: t.OPTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, ffn_dim=48, vocab_size=60, word_embed_proj_dim=32
    ),
)
text("llama", "LlamaForCausalLM", lambda: t.LlamaConfig(**GROUPED))
text("mistral", "MistralForCausalLM", lambda: t.MistralConfig(**GROUPED))
text("qwen2", "Qwen2ForCausalLM", lambda: t.Qwen2Config(**GROUPED))
text("gemma", "GemmaForCausalLM", lambda: t.GemmaConfig(**GROUPED, head_dim=8))
text("phi", "PhiForCausalLM", lambda: t.PhiConfig(**GROUPED))
text(
    "mamba",
    "MambaForCausalLM",
    lambda: t.MambaConfig(vocab_size=60, hidden_size=32, num_hidden_layers=2, state_size=4),
    slow=True,
)
text("t5", "T5EncoderModel", lambda: t.T5Config(vocab_size=60, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4))
model(
    "vit",
    built("ViTModel", lambda: t.ViTConfig(**{k: v for k, v in TINY.items() if k != "vocab_size"}, image_size=32, patch_size=8)),
    images(32),
    single=True,
)
model(
    "wav2vec",
    built(
        "Wav2Vec2Model",
        lambda: t.Wav2Vec2Config(
            **TINY,
            conv_dim=(16, 16),
            conv_stride=(5, 2),
            conv_kernel=(10, 3),
            num_conv_pos_embeddings=16,
            num_conv_pos_embedding_groups=4,
        ),
    ),
    numbers(1, 800),
    slow=True,
)


@function
def generation():
    net = built(
        "GPT2LMHeadModel",
        lambda: t.GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=60, n_positions=64, eos_token_id=59, bos_token_id=59),
    )()
    start = torch.tensor([[1, 2, 3]])
    options = {"max_new_tokens": 8, "pad_token_id": 0}
    return [
        net.generate(start, do_sample=False, **options),
        net.generate(start, do_sample=True, top_k=10, **options),
        net.generate(start, num_beams=3, **options),
    ]


@function
def schedules():
    net = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.1)
    schedule = t.get_cosine_schedule_with_warmup(optimizer, 2, 8)
    found = []
    for _ in range(8):
        optimizer.step()
        schedule.step()
        found += schedule.get_last_lr()
    return found
