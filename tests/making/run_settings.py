"""Settings of tiny models, as the command line has them, for whole runs of a second or two."""

VQVAE = {
    "encoder_dim": "8", "encoder_blocks": "1", "decoder_dim": "8", "decoder_blocks": "1",
    "levels": "2", "codebook_size": "8", "code_dim": "4",
}  # fmt: skip
PAPER = {"blocks": "6", "channels": "4", "codebook_size": "8", "code_dim": "4"}
MLM = {"dim": "8", "heads": "2", "layers": "1", "bands": "16", "band_stft": "1024", "window": "40"}
MASKS = {
    "dim": "8", "heads": "2", "layers": "1", "bands": "16", "channels": "4,6",
    "stft_size": "2048", "hop_length": "1024", "window": "20",
}  # fmt: skip
SPECTROGRAM = {
    "dim": "8", "heads": "2", "layers": "2", "target_layer": "1", "bands": "16", "clusters": "4",
    "semantic_clusters": "6", "stft_size": "2048", "hop_length": "1024", "window": "24",
    "shortest_span": "2", "longest_span": "4", "separator": "2", "blank": "1",
}  # fmt: skip
WAVE = {
    "window": "4096", "targets": "4", "run": "2", "orders": "4,20", "spans": "256,512",
    "blocks": "128,512", "refine_order": "4", "refine_span": "64", "history": "16",
    "components": "2", "dim": "8", "heads": "2", "layers": "1", "decoder_dim": "8",
    "decoder_hidden": "8", "decoder_layers": "1",
}  # fmt: skip
WAVE_PAPER = {
    "window": "800", "patch": "200", "filters": "4,4", "dim": "8", "heads": "2", "layers": "1",
    "feed": "8", "head": "16",
}  # fmt: skip
