"""Writes small.gguf, small.gguf.safetensors (the tensors before the conversion) and quants.safetensors (blocks and what the
reference makes of them) with the gguf package 0.18: python gguf_small.py. The permutation is that of the LLaDA conversion."""
import numpy as np
from gguf import GGMLQuantizationType as Q, GGUFWriter, GGML_QUANT_SIZES, TokenType
from gguf.quants import dequantize, quantize
from safetensors.numpy import save_file

r = np.random.default_rng(5)
D, H, G, F, V, L = 32, 4, 2, 64, 48, 1
W = D // H


def t(*shape):
    return r.standard_normal(shape).astype(np.float32)


def permute(x, heads):
    return x.reshape(heads, 2, x.shape[0] // heads // 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


B = "model.transformer.blocks.0."
real = {"model.transformer.wte.weight": t(V, D), "model.transformer.ln_f.weight": t(D), "model.transformer.ff_out.weight": t(V, D),
        B + "attn_norm.weight": t(D), B + "q_proj.weight": t(H * W, D), B + "k_proj.weight": t(G * W, D), B + "v_proj.weight": t(G * W, D),
        B + "attn_out.weight": t(D, D), B + "ff_norm.weight": t(D), B + "ff_proj.weight": t(F, D), B + "up_proj.weight": t(F, D), B + "ff_out.weight": t(D, F)}
names = {"model.transformer.wte": "token_embd", "model.transformer.ln_f": "output_norm", "model.transformer.ff_out": "output", B + "attn_norm": "blk.0.attn_norm",
         B + "q_proj": "blk.0.attn_q", B + "k_proj": "blk.0.attn_k", B + "v_proj": "blk.0.attn_v", B + "attn_out": "blk.0.attn_output",
         B + "ff_norm": "blk.0.ffn_norm", B + "ff_proj": "blk.0.ffn_gate", B + "up_proj": "blk.0.ffn_up", B + "ff_out": "blk.0.ffn_down"}

w = GGUFWriter("small.gguf", "llada")
w.add_block_count(L)
w.add_context_length(64)
w.add_embedding_length(D)
w.add_feed_forward_length(F)
w.add_head_count(H)
w.add_head_count_kv(G)
w.add_rope_freq_base(500000.0)
w.add_layer_norm_rms_eps(1e-5)
w.add_tokenizer_model("gpt2")
w.add_tokenizer_pre("llada-moe")
pieces = [chr(c) for c in range(ord("a"), ord("z") + 1)] + ["\u0120", "th", "the", "\u0120the", "\u010a"]
tokens = pieces + ["<|startoftext|>", "<|endoftext|>", "<|mdm_mask|>", "<|eot_id|>"] + [f"[PAD{i}]" for i in range(V - len(pieces) - 4)]
kinds = [TokenType.NORMAL] * len(pieces) + [TokenType.CONTROL] * 4 + [TokenType.UNUSED] * (V - len(pieces) - 4)
w.add_token_list(tokens)
w.add_token_types(kinds)
w.add_token_merges(["t h", "th e", "\u0120 the"])
w.add_bos_token_id(31)
w.add_eos_token_id(32)
w.add_mask_token_id(33)
w.add_chat_template("{% for m in messages %}{{ m.content }}{% endfor %}")
stored = {}
for name, x in real.items():
    base = name.removesuffix(".weight")
    y = permute(x, H) if base.endswith("q_proj") else permute(x, G) if base.endswith("k_proj") else x
    if base.endswith(("up_proj", "ff_proj")):  # one quantized, one in half precision
        kind = Q.Q8_0 if base.endswith("up_proj") else Q.F16
        data = quantize(y, kind)
        w.add_tensor(names[base] + ".weight", data, raw_dtype=kind)
        stored[name] = dequantize(data, kind)
    elif base.endswith("q_proj"):
        data = quantize(y, Q.Q8_0)
        w.add_tensor(names[base] + ".weight", data, raw_dtype=Q.Q8_0)
        stored[name] = dequantize(data, Q.Q8_0).reshape(H, W // 2, 2, D).swapaxes(1, 2).reshape(H * W, D)
    else:
        w.add_tensor(names[base] + ".weight", y)
        stored[name] = x
w.write_header_to_file()
w.write_kv_data_to_file()
w.write_tensors_to_file()
w.close()
save_file({k: np.ascontiguousarray(v, dtype=np.float32) for k, v in stored.items()}, "small.gguf.safetensors")

blocks = {}
for kind in (Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.Q8_0, Q.Q4_K, Q.Q5_K, Q.Q6_K):
    n, size = GGML_QUANT_SIZES[kind]
    raw = r.integers(0, 256, (3, size), dtype=np.uint8)
    # scales in half precision that are finite: the exponent's top bit is cleared
    at = {Q.Q6_K: [208]}.get(kind, [0, 2] if kind in (Q.Q4_1, Q.Q5_1, Q.Q4_K, Q.Q5_K) else [0])
    for a in at:
        raw[:, a + 1] &= 0xBF
    blocks[kind.name + ".blocks"] = raw
    blocks[kind.name + ".values"] = np.ascontiguousarray(dequantize(raw, kind).reshape(3, n).astype(np.float32))
save_file(blocks, "quants.safetensors")
