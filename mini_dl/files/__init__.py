"""Files: how they are replaced whole, and the formats .pt, .npz and .safetensors. `mini_dl.serialization` is what users call."""
