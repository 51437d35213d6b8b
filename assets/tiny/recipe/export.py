"""Writes the checkpoint folder from the averaged weights: bf16 safetensors, configs, world.json.

usage: export.py TRANSFORMER.ema.pt [OUT_FOLDER] [SETTINGS.json]
"""
import json
import os
import sys

import numpy as np
import torch
from safetensors.torch import save_file

import data as D
import vq
import world as W


def config(cfg):
    return {
        "activation_type": "silu", "alibi": False, "alibi_bias_max": 8.0, "architectures": ["MMadaModelLM"],
        "attention_dropout": 0.0, "attention_layer_norm": False, "attention_layer_norm_with_affine": True,
        "bias_for_layer_norm": False, "block_group_size": 1, "block_type": "llama",
        "codebook_size": 1 << D.BITS, "d_model": cfg["d_model"], "embedding_dropout": 0.0, "embedding_size": D.VOCAB,
        "eos_token_id": D.EOS, "flash_attention": False, "gradient_checkpointing": True, "include_bias": False,
        "include_qkv_bias": False, "init_cutoff_factor": None, "init_device": "meta", "init_fn": "mitchell",
        "init_std": 0.02, "input_emb_norm": False, "layer_norm_type": "rms", "layer_norm_with_affine": True,
        "llm_model_path": "", "llm_vocab_size": D.OFF, "mask_token_id": D.MASK,
        "max_sequence_length": cfg["max_sequence_length"], "mlp_hidden_size": cfg["mlp_hidden_size"], "mlp_ratio": 4,
        "model_type": "mmada", "multi_query_attention": None, "n_heads": cfg["n_heads"], "n_kv_heads": cfg["n_heads"],
        "n_layers": cfg["n_layers"], "new_vocab_size": D.VOCAB, "num_new_special_tokens": 0, "num_vq_tokens": D.NT,
        "pad_token_id": D.EOS, "precision": "amp_bf16", "residual_dropout": 0.0, "rms_norm_eps": cfg["rms_norm_eps"],
        "rope": True, "rope_full_precision": True, "rope_theta": cfg["rope_theta"], "scale_logits": False,
        "tie_word_embeddings": True, "transformers_version": "4.46.0", "use_cache": False, "vocab_size": D.VOCAB,
        "w_clip_vit": False, "weight_tying": True, "torch_dtype": "bfloat16",
    }


def tensors(ema):
    out = {}
    for k, v in ema.items():
        out["model.transformer." + k] = v.detach().bfloat16().contiguous().clone()
    return out


def vq_tensors(sd):
    out = {k: v.detach().bfloat16().contiguous().clone() for k, v in sd.items()}
    n = 1 << D.BITS
    b = (np.arange(n)[:, None] >> np.arange(D.BITS - 1, -1, -1)) & 1
    out["quantize.embedding"] = torch.from_numpy((b * 2 - 1).astype(np.float32)).bfloat16()
    out["quantize.power_vals"] = torch.from_numpy(2 ** np.arange(D.BITS - 1, -1, -1)).long()
    return out


def world(settings):
    held_pairs = [[x, y] for x in W.NAMES for y in W.NAMES if x != y and W.held_out_pair(x, y)]
    held_one = [[x, b] for x in W.NAMES for b in W.BG_NAMES if W.held_out_one(x, b)]
    return {
        "name": "Unmask tiny", "version": 1,
        "grid": [W.GRID, W.GRID], "cell_px": W.CELL_OUT, "picture_px": W.GRID * W.CELL_OUT, "encoder_px": 64,
        "concepts": [{k: c[k] for k in ("name", "article", "plural", "emoji", "group", "colour", "can", "sentence", "icon")} for c in W.CONCEPTS],
        "backgrounds": [{"name": n, "rgb": list(c)} for n, c in W.BACKGROUNDS],
        "layouts": {k: [{"row": r, "column": c, "side": s} for r, c, s in v] for k, v in W.LAYOUTS.items()},
        "groups": {g: W.group_phrase(g) for g in W.GROUPS},
        "thinking_prefix": W.THINKING_PREFIX,
        "hole": "___",
        "patterns": {
            "draw": ["{a thing}", "{a thing} on a {background} background", "{a thing} on {background}", "draw {a thing}",
                     "a picture of {a thing}", "{a thing} and {a thing} on a {background} background", "{a thing} above {a thing} on a {background} background",
                     "two {things} on a {background} background", "three {things}", "four {things}"],
            "describe": ["What is this?", "Describe the picture.", "What colour is the background?", "How many {things} are there?", "How many stickers are there?",
                         "Is there {a thing}?", "What is on the left?", "What is on the right?", "What is at the top?", "What is at the bottom?"],
            "chat": ["What is {a thing}?", "What colour is {a thing}?", "Tell me about {a thing}.", "Is {a thing} {an animal}?", "Is {a thing} {colour}?", "Can {a thing} {fly}?", "Can you eat {a thing}?",
                     "Tell me a story about {a thing} and {a thing}.", "Name three {animals}."] + [q[0] for q, _ in W.TALK],
            "sums": ["What is {p}+{q}?", "{p}+{q}", "{p}+{q}="],
            "infill": "user text: Complete the text. The answer is the text itself with masks at the holes; a blank before a hole belongs to the hole's word.",
        },
        "examples": {
            "draw": ["a cat on a blue background", "a rocket on a black background", "a dog and a ball on a green background", "a sun above a house on a blue background",
                     "three apples on a white background", "two penguins on a purple background", "an octopus on a pink background", "four stars on a black background"],
            "describe": ["What is this?", "Describe the picture.", "What colour is the background?", "How many stickers are there?", "Is there a cat?", "What is on the left?", "What is at the top?"],
            "chat": ["Hello!", "Who are you?", "What can you do?", "What is an octopus?", "What colour is a banana?", "Is a carrot a food?", "Can an owl fly?", "Tell me about a rocket.",
                     "Tell me a story about a robot and a cat.", "Name three animals."],
            "sums": ["What is 47+38?", "What is 95+58?", "What is 7+8?", "What is 64+9?", "12+30", "What is 88+88?"],
            "infill": ["A cat is an ___.", "A banana is ___.", "A ___ is a vehicle.", "A dog met a cat by the ___.", "A robot is a ___. It is made of ___.", "Three ___ on a ___ background."],
        },
        "settings": settings,
        "held_out": {"pairs": held_pairs, "single": held_one,
                     "sums": "p+q with (13 p + 29 q + p q) mod 10 = 3"},
    }


def main():
    ck = sys.argv[1]
    out = sys.argv[2] if len(sys.argv) > 2 else ".."
    c = torch.load(ck)
    os.makedirs(out + "/vq", exist_ok=True)
    save_file(tensors(c["ema"]), out + "/model.safetensors", metadata={"format": "pt"})
    json.dump(config(c["cfg"]), open(out + "/config.json", "w"), indent=1)
    v = torch.load("work/vq.pt")
    assert v["phase"] == 2 or os.environ.get("ALLOW_PHASE1"), "the decoder's last level is not trained"
    save_file(vq_tensors(v["ema"]), out + "/vq/pytorch_model.safetensors", metadata={"format": "pt"})
    json.dump({"_class_name": "MAGVITv2", "_diffusers_version": "0.32.2"}, open(out + "/vq/config.json", "w"), indent=1)
    json.dump(dict({"note": "sizes of the tiny picture tokenizer; the decoder has one level more than the encoder: 64-px pictures in, 128-px pictures out"}, **vq.ARCH), open(out + "/vq/architecture.json", "w"), indent=1)
    sp = sys.argv[3] if len(sys.argv) > 3 else "settings.json"
    settings = json.load(open(sp)) if os.path.exists(sp) else {}
    json.dump(world(settings), open(out + "/world.json", "w"), indent=1, ensure_ascii=False)
    print("step", c["step"], {f: os.path.getsize(out + "/" + f) for f in ("model.safetensors", "vq/pytorch_model.safetensors", "tokenizer.json", "world.json")})


if __name__ == "__main__":
    main()
