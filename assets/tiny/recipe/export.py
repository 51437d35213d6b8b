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
import words as V
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


EXAMPLES = {
    "draw": ["a cat on a blue background", "a rocket on a black background", "a dog and a ball on a green background", "a sun above a house on a blue background",
             "three apples on a white background", "two penguins on a purple background", "an elephant on a pink background", "a bee above a tulip on a yellow background", "four stars on a black background"],
    "describe": ["What is this?", "Describe the picture.", "What colour is the background?", "How many stickers are there?", "Is there a cat?", "What is on the left?", "Where is the dog?"],
    "chat": ["Hello!", "Who are you?", "What can you do?", "What is an octopus?", "What colour is a banana?", "Is a carrot a food?", "Can an owl fly?", "Tell me about a rocket.",
             "Which is bigger, a whale or a cat?", "Why can a bee fly?", "Write a sentence with umbrella.", "Tell me a story about a robot and a cat.", "Name three animals."],
    "sums": ["What is 47+38?", "What is 395+258?", "What is 82-37?", "What is 640-275?", "Tom has 13 apples and gets 24 more. How many apples does Tom have?", "What is 7+8?"],
    "infill": ["A cat is an ___.", "A banana is ___.", "A ___ is a vehicle.", "A dog met a cat by the ___.", "A robot is a ___. It is made of ___.", "Three ___ on a ___ background."],
}


def world(settings):
    """world.json: all that a program needs to make prompts, right answers and held-out items of its own."""
    held_pairs = [[x, y] for x in W.NAMES for y in W.NAMES if x != y and W.held_out_pair(x, y)]
    held_other = [[lay, x, b] for lay in W.LAYOUTS if lay not in W.PAIRS + ("one", "none") for x in W.NAMES for b in W.BG_NAMES if W.held_out_other(x, lay, b)]
    concept_keys = ("name", "article", "plural", "emoji", "group", "colour", "can", "size", "sentence", "icon")
    return {
        "name": "Unmask tiny", "version": 2,
        "grid": [W.GRID, W.GRID], "cell_px": W.CELL_OUT, "picture_px": W.GRID * W.CELL_OUT, "encoder_px": 64,
        "concepts": [dict({k: c[k] for k in concept_keys}, said=V.said(c), can_phrase=V.ability(c["name"], c["can"]),
                          can_tail=V.ability(c["name"], c["can"], True), reason=V.reason(c), lacks=V.LACKS[c["name"]],
                          place=V.PLACES[i % 8], ending=V.ENDS[i % 8], partner=V.partner(c["name"])) for i, c in enumerate(W.CONCEPTS)],
        "styles": ["flat"],
        "backgrounds": [{"name": n, "rgb": list(c)} for n, c in W.BACKGROUNDS],
        "layouts": {k: [{"row": r, "column": c, "side": s} for r, c, s in v] for k, v in W.LAYOUTS.items()},
        "layout_phrases": W.PHRASES,
        "groups": W.GROUPS, "group_plurals": W.GROUP_PLURALS, "colours": W.COLOURS,
        "abilities": {"its": W.ITS, "yours": W.YOURS},
        "places": W.WHERE, "numbers": W.NUMBERS,
        "thinking_prefix": W.THINKING_PREFIX,
        "hole": "___",
        "patterns": {
            "draw": W.CAPTIONS["train"],
            "describe": [p for row in V.PICTURE.values() for p in row["train"]],
            "chat": [p for row in V.FACTS.values() for p in row["train"]] + [q[0] for q, *_ in V.TALK],
            "sums": [p for row in V.SUMS.values() for p in row["train"]],
            "infill": "user text: Complete the text. The answer is the text itself with masks at the holes; a blank before a hole belongs to the hole's word.",
        },
        "captions": W.CAPTIONS,
        "facts": V.FACTS,
        "picture_questions": V.PICTURE,
        "sums": V.SUMS,
        "word_problems": {"people": V.PEOPLE, "+": V.STORIES_PLUS, "-": V.STORIES_MINUS, "answer": "{n} {xs}."},
        "counting": V.COUNTING,
        "talk": [{"train": q, "held_out": h, "answer": ans} for q, h, ans, _ in V.TALK],
        "stories": dict(V.STORY, answer=V.STORY_RULE),
        "lists": V.LIST,
        "edits": {"replace": "the cells of one sticker are hidden, the caption names the scene with the new sticker",
                  "remove": "the cells of one of two stickers are hidden; the caption names the other one with or without its place (layouts left, right, top, bottom), or nothing (layout none)",
                  "refill": "a half or a rectangle is hidden, the caption names the scene",
                  "joint": "[t2i] BOS caption EOS [soi] codes [eoi] with masks in the caption and in the codes"},
        "examples": EXAMPLES,
        "settings": settings,
        "held_out": {"pairs": held_pairs, "combinations": held_other,
                     "rules": {"pairs": {"of": ["index of first", "index of second"], "coefficients": [7, 11], "product": 1, "modulus": 12, "remainder": 5},
                               "combinations": {"of": ["index of concept", "index of background", "index of layout"], "coefficients": [3, 7, 5], "product": 0, "modulus": 10, "remainder": 4,
                                                "layouts": [k for k in W.LAYOUTS if k not in W.PAIRS + ("one", "none")]},
                               "numbers": {"of": ["first number", "second number"], "coefficients": [13, 29], "product": 1, "modulus": 10, "remainder": 3, "from": 10}},
                     "sums": "p+q and p-q with (13 p + 29 q + p q) mod 10 = 3, where p or q has two digits or more"},
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
    for f in ("/model.safetensors", "/vq/pytorch_model.safetensors"):
        os.chmod(out + f, 0o644)
    json.dump({"_class_name": "MAGVITv2", "_diffusers_version": "0.32.2"}, open(out + "/vq/config.json", "w"), indent=1)
    json.dump(dict({"note": "sizes of the tiny picture tokenizer; the decoder has one level more than the encoder: 64-px pictures in, 128-px pictures out"}, **vq.ARCH), open(out + "/vq/architecture.json", "w"), indent=1)
    sp = sys.argv[3] if len(sys.argv) > 3 else "settings.json"
    settings = json.load(open(sp)) if os.path.exists(sp) else {}
    json.dump(world(settings), open(out + "/world.json", "w"), indent=1, ensure_ascii=False)
    print("step", c["step"], {f: os.path.getsize(out + "/" + f) for f in ("model.safetensors", "vq/pytorch_model.safetensors", "tokenizer.json", "world.json")})


if __name__ == "__main__":
    main()
