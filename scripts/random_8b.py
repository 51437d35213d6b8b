"""Writes a checkpoint of LLaDA-8B's shape with random weights, to see how one loads and runs.

    python3 scripts/random_8b.py FORMAT DIR TOKENIZER_DIR [LAYERS]

FORMAT is safetensors (bf16, four shards), torch (bf16, pytorch_model.bin), q8_0 or q4_0 (GGUF). TOKENIZER_DIR is a folder with
tokenizer.json and tokenizer_config.json. Needs nothing but Python; 4.6 to 16 GB of disk.
"""
import io
import json
import os
import shutil
import struct
import sys
import zipfile

D, FF, HEADS, VOCAB, THETA, EPS = 4096, 12288, 32, 126464, 500000.0, 1e-5
BLOCK = 8 << 20  # bytes of random numbers, used again and again from other places


def tensors(layers):
    """Names and shapes in the released layout."""
    yield "model.transformer.wte.weight", (VOCAB, D)
    for i in range(layers):
        at = f"model.transformer.blocks.{i}."
        for name in ("q_proj", "k_proj", "v_proj", "attn_out"):
            yield at + name + ".weight", (D, D)
        yield at + "ff_proj.weight", (FF, D)
        yield at + "up_proj.weight", (FF, D)
        yield at + "ff_out.weight", (D, FF)
        yield at + "attn_norm.weight", (D,)
        yield at + "ff_norm.weight", (D,)
    yield "model.transformer.ln_f.weight", (D,)
    yield "model.transformer.ff_out.weight", (VOCAB, D)


def bf16():
    """Random bf16 numbers between 0.0078 and 0.0313 in size, of both signs."""
    out = bytearray(BLOCK)
    out[0::2] = os.urandom(BLOCK // 2)
    out[1::2] = os.urandom(BLOCK // 2).translate(bytes(0x3C | (i & 1) << 7 for i in range(256)))
    return bytes(out)


def gguf_block(kind):
    """Random blocks of 32 numbers: a scale in f16 and the codes."""
    size = {"q4_0": 18, "q8_0": 34}[kind]
    n = BLOCK // size
    out = bytearray(os.urandom(n * size))
    scale = struct.pack("<e", 0.003 if kind == "q4_0" else 0.0002)
    out[0::size], out[1::size] = scale[:1] * n, scale[1:] * n
    return bytes(out)


def repeated(block, unit, size, seed):
    """size bytes of block, from a place that depends on seed."""
    at = (seed * 7919 * unit) % (len(block) // unit * unit) // unit * unit
    block = block[at:] + block[:at]
    while size > 0:
        yield block[:size]
        size -= len(block)


def ones(shape):
    return struct.pack("<H", 0x3F80) * shape[0]


def elements(shape):
    n = 1
    for d in shape:
        n *= d
    return n


def config(path, tokenizer, layers, mask):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(os.path.join(tokenizer, name), path)
    with open(os.path.join(path, "config.json"), "w") as f:
        json.dump({"model_type": "llada", "architectures": ["LLaDAModelLM"], "d_model": D, "n_heads": HEADS, "n_kv_heads": HEADS, "n_layers": layers,
                   "mlp_hidden_size": FF, "vocab_size": VOCAB, "embedding_size": VOCAB, "max_sequence_length": 4096, "rope": True, "rope_theta": THETA,
                   "rms_norm_eps": EPS, "layer_norm_type": "rms", "activation_type": "silu", "block_type": "llama", "mask_token_id": mask}, f)


def safetensors(path, layers):
    shards, index = [[], [], [], []], {}
    list_ = list(tensors(layers))
    total = sum(2 * elements(s) for _, s in list_)
    done = 0
    for name, shape in list_:
        i = min(3, 4 * done // total)
        shards[i].append((name, shape))
        done += 2 * elements(shape)
    block = bf16()
    for i, shard in enumerate(shards):
        file = f"model-{i + 1:05d}-of-00004.safetensors"
        head, at = {}, 0
        for name, shape in shard:
            size = 2 * elements(shape)
            head[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
            at += size
            index[name] = file
        raw = json.dumps(head).encode()
        raw += b" " * (-len(raw) % 8)
        with open(os.path.join(path, file), "wb") as f:
            f.write(struct.pack("<Q", len(raw)) + raw)
            for k, (name, shape) in enumerate(shard):
                for part in [ones(shape)] if len(shape) == 1 else repeated(block, 2, 2 * elements(shape), 4 * k + i):
                    f.write(part)
    with open(os.path.join(path, "model.safetensors.index.json"), "w") as f:
        json.dump({"metadata": {"total_size": total}, "weight_map": index}, f)


def pickled(list_):
    """The pickle of a dictionary of tensors as torch writes it."""
    out = io.BytesIO()

    def text(s):
        out.write(b"X" + struct.pack("<I", len(s)) + s.encode())

    def integer(n):
        out.write(b"\x8a\x08" + struct.pack("<q", n))

    out.write(b"\x80\x02}(")
    for i, (name, shape) in enumerate(list_):
        text(name)
        out.write(b"ctorch._utils\n_rebuild_tensor_v2\n((")
        text("storage")
        out.write(b"ctorch\nBFloat16Storage\n")
        text(str(i))
        text("cpu")
        integer(elements(shape))
        out.write(b"tQ")
        integer(0)
        out.write(b"(")
        for d in shape:
            integer(d)
        out.write(b"t(")
        for k in range(len(shape)):
            integer(elements(shape[k + 1:]))
        out.write(b"t\x89ccollections\nOrderedDict\n)RtR")
    out.write(b"u.")
    return out.getvalue()


def torch(path, layers):
    list_, block = list(tensors(layers)), bf16()
    with zipfile.ZipFile(os.path.join(path, "pytorch_model.bin"), "w", zipfile.ZIP_STORED, allowZip64=True) as z:
        z.writestr("model/data.pkl", pickled(list_))
        z.writestr("model/byteorder", "little")
        for i, (name, shape) in enumerate(list_):
            with z.open(f"model/data/{i}", "w", force_zip64=True) as f:
                for part in [ones(shape)] if len(shape) == 1 else repeated(block, 2, 2 * elements(shape), i):
                    f.write(part)
        z.writestr("model/version", "3\n")


GGUF_NAMES = {"wte": "token_embd", "ln_f": "output_norm", "q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "attn_out": "attn_output",
              "ff_proj": "ffn_gate", "up_proj": "ffn_up", "ff_out": "ffn_down", "attn_norm": "attn_norm", "ff_norm": "ffn_norm"}


def gguf_name(name):
    part = name.split(".")
    if part[2] != "blocks":
        return {"ff_out": "output"}.get(part[2], GGUF_NAMES[part[2]]) + ".weight"
    return f"blk.{part[3]}.{GGUF_NAMES[part[4]]}.weight"


def gguf(path, layers, kind, tokenizer, mask):
    with open(os.path.join(tokenizer, "tokenizer.json")) as f:
        tok = json.load(f)
    names, types = {}, {}
    for text, i in tok["model"]["vocab"].items():
        names[i], types[i] = text, 1
    for a in tok["added_tokens"]:
        names[a["id"]], types[a["id"]] = a["content"], 3
    merges = [m if isinstance(m, str) else " ".join(m) for m in tok["model"]["merges"]]

    def string(s):
        b = s.encode()
        return struct.pack("<Q", len(b)) + b

    def array(kind, items):
        return struct.pack("<IIQ", 9, kind, len(items)) + b"".join(items)

    meta = {"general.architecture": struct.pack("<I", 8) + string("llada")}
    for key, n in (("embedding_length", D), ("block_count", layers), ("feed_forward_length", FF), ("context_length", 4096), ("attention.head_count", HEADS), ("attention.head_count_kv", HEADS)):
        meta["llada." + key] = struct.pack("<II", 4, n)
    meta["llada.rope.freq_base"] = struct.pack("<If", 6, THETA)
    meta["llada.attention.layer_norm_rms_epsilon"] = struct.pack("<If", 6, EPS)
    meta["tokenizer.ggml.model"] = struct.pack("<I", 8) + string("gpt2")
    meta["tokenizer.ggml.mask_token_id"] = struct.pack("<II", 4, mask)
    n = max(names) + 1
    meta["tokenizer.ggml.tokens"] = array(8, [string(names.get(i, f"[{i}]")) for i in range(n)])
    meta["tokenizer.ggml.token_type"] = array(5, [struct.pack("<i", types.get(i, 5)) for i in range(n)])
    meta["tokenizer.ggml.merges"] = array(8, [string(m) for m in merges])
    unit = {"q4_0": 18, "q8_0": 34}[kind]
    head, at, list_ = b"", 0, list(tensors(layers))
    for name, shape in list_:
        size = 4 * shape[0] if len(shape) == 1 else elements(shape) // 32 * unit
        head += string(gguf_name(name)) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", d) for d in reversed(shape))
        head += struct.pack("<IQ", 0 if len(shape) == 1 else {"q4_0": 2, "q8_0": 8}[kind], at)
        at += -(-size // 32) * 32
    start = b"GGUF" + struct.pack("<IQQ", 3, len(list_), len(meta)) + b"".join(string(k) + v for k, v in meta.items()) + head
    block = gguf_block(kind)
    with open(os.path.join(path, f"model-{kind}.gguf"), "wb") as f:
        f.write(start + b"\0" * (-len(start) % 32))
        for i, (name, shape) in enumerate(list_):
            size = 4 * shape[0] if len(shape) == 1 else elements(shape) // 32 * unit
            for part in [struct.pack("<f", 1) * shape[0]] if len(shape) == 1 else repeated(block, unit, size, i):
                f.write(part)
            f.write(b"\0" * (-size % 32))


def main():
    kind, path, tokenizer = sys.argv[1:4]
    layers = int(sys.argv[4]) if len(sys.argv) > 4 else 32
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(tokenizer, "tokenizer.json")) as f:
        mask = next(a["id"] for a in json.load(f)["added_tokens"] if a["content"] == "<|mdm_mask|>")
    if kind in ("q4_0", "q8_0"):
        return gguf(path, layers, kind, tokenizer, mask)
    config(path, tokenizer, layers, mask)
    {"safetensors": safetensors, "torch": torch}[kind](path, layers)


main()
