"""Files: replacing them as a whole, and the formats .pt, .npz and .safetensors. Users call `mini_dl.serialization`."""
