"""llama.cpp as a contestant, through its Python bindings: one decode of the whole canvas with the logits of every position.

The model is written as GGUF first; i8 is q8_0 and i4 is q4_K_M, by llama.cpp's own quantiser.
"""

import ctypes
import os
import struct
import sys
import tempfile

import llama_cpp as lc
import numpy as np

from peer import Checkpoint, serve

LONGEST = 1024
UINT32, FLOAT32, STRING = 4, 6, 8  # GGUF value types
TYPES = {"F32": 0, "BF16": 30}  # GGML tensor types
FTYPES = {"i8": 7, "i4": 15}  # mostly q8_0, mostly q4_K_M
NAMES = {
    "attn_norm": "attn_norm", "ff_norm": "ffn_norm", "q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v",
    "attn_out": "attn_output", "ff_proj": "ffn_gate", "up_proj": "ffn_up", "ff_out": "ffn_down",
}  # fmt: skip


def text(s):
    b = s.encode()
    return struct.pack("<Q", len(b)) + b


def pair(key, value):
    if isinstance(value, str):
        return text(key) + struct.pack("<I", STRING) + text(value)
    if isinstance(value, float):
        return text(key) + struct.pack("<If", FLOAT32, value)
    return text(key) + struct.pack("<II", UINT32, value)


def interleave(raw, shape, heads):
    """Rows of queries and keys in llama.cpp's order: it rotates neighbours, the checkpoint the halves of a head."""
    rows = np.frombuffer(raw, np.uint8).reshape(heads, 2, shape[0] // heads // 2, -1)
    return rows.swapaxes(1, 2).tobytes()


def tensors(c):
    """(GGUF name, GGML type, shape, bytes) of every tensor."""
    yield ("token_embd", *plain(c, "wte"))
    yield ("output_norm", *widened(c, "ln_f"))
    yield ("output", *plain(c, "ff_out"))
    for i in range(c.layers):
        for ours, theirs in NAMES.items():
            name = f"blocks.{i}.{ours}"
            if ours.endswith("norm"):
                yield (f"blk.{i}.{theirs}", *widened(c, name))
                continue
            kind, shape, raw = plain(c, name)
            if ours in ("q_proj", "k_proj"):
                raw = interleave(raw, shape, c.heads)
            yield (f"blk.{i}.{theirs}", kind, shape, raw)


def plain(c, name):
    kind, shape, raw = c.raw(name)
    return TYPES[kind], shape, raw


def widened(c, name):
    a = c.array(name)
    return TYPES["F32"], a.shape, a.astype(np.float32).tobytes()


def write(c, path):
    head = c.width // c.heads
    pairs = {
        "general.architecture": "llada", "general.alignment": 32, "llada.vocab_size": c.vocab,
        "llada.context_length": LONGEST, "llada.embedding_length": c.width, "llada.block_count": c.layers,
        "llada.feed_forward_length": c.ff, "llada.attention.head_count": c.heads, "llada.attention.head_count_kv": c.heads,
        "llada.attention.layer_norm_rms_epsilon": c.eps, "llada.rope.freq_base": c.theta, "llada.rope.dimension_count": head,
        "tokenizer.ggml.model": "none",
    }  # fmt: skip
    all_tensors = list(tensors(c))
    with open(path, "wb") as f:
        f.write(b"GGUF" + struct.pack("<IQQ", 3, len(all_tensors), len(pairs)))
        for k, v in pairs.items():
            f.write(pair(k, v))
        at = 0
        for name, kind, shape, raw in all_tensors:
            f.write(text(name + ".weight") + struct.pack("<I", len(shape)))
            f.write(struct.pack(f"<{len(shape)}Q", *reversed(shape)) + struct.pack("<IQ", kind, at))
            at += (len(raw) + 31) // 32 * 32
        f.write(bytes(-f.tell() % 32))
        for _, _, _, raw in all_tensors:
            f.write(raw)
            f.write(bytes(-len(raw) % 32))


@ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
def quiet(level, message, data):
    if level >= 4:  # errors
        sys.stderr.write(message.decode("utf-8", "replace"))


def main():
    folder, dtype, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    c = Checkpoint(folder)
    lc.llama_log_set(quiet, ctypes.c_void_p(0))
    lc.llama_backend_init()
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "model.gguf")
        write(c, path)
        if dtype in FTYPES:
            params = lc.llama_model_quantize_default_params()
            params.ftype, params.nthread = FTYPES[dtype], threads
            small = os.path.join(tmp, dtype + ".gguf")
            if lc.llama_model_quantize(path.encode(), small.encode(), params) != 0:
                raise SystemExit("llama.cpp could not quantise the model")
            path = small
        model = lc.llama_model_load_from_file(path.encode(), lc.llama_model_default_params())
    if not model:
        raise SystemExit("llama.cpp could not load the model")
    params = lc.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = LONGEST
    params.n_threads = params.n_threads_batch = threads
    ctx = lc.llama_init_from_model(model, params)
    lc.llama_set_causal_attn(ctx, False)
    batch = lc.llama_batch_init(LONGEST, 0, 1)

    def forward(tokens):
        memory = lc.llama_get_memory(ctx)
        if memory:
            lc.llama_memory_clear(memory, True)
        batch.n_tokens = len(tokens)
        for i, t in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = t, i, 1, 1
            batch.seq_id[i][0] = 0
        if lc.llama_decode(ctx, batch) != 0:
            raise SystemExit("llama.cpp could not decode")
        lc.llama_synchronize(ctx)
        return lambda p, i: lc.llama_get_logits_ith(ctx, p)[i]

    serve({"llama-cpp-python": lc.__version__}, {"forward": forward})


if __name__ == "__main__":
    main()
