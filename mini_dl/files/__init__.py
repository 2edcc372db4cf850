"""Files: atomic replacement, and the formats .pt, .npz and .safetensors. Users call `mini_dl.serialization`."""
