"""Trains the byte-level BPE on the world's own texts and writes the tokenizer files.

The BPE comes first; behind it the special tokens stand in the release's order
(release id r >= 126080 is r - 126080 + base), so that len(tokenizer) = base + 269
is the first picture code.
"""
import json
import sys

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

import words as V
import world as W

PATTERN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SIZE = 1280


def specials():
    s = ["<|startoftext|>", "<|endoftext|>", "[CLS]", "[gMASK]"]
    s += ["<|mdm_mask|>" if i == 252 else f"<|reserved_token_{i}|>" for i in range(256)]
    s += ["<role>", "</role>", "<|arithmetic_start|>", "<|arithmetic_end|>", "<|number_start|>", "<|number_end|>"]
    s += ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    assert len(s) == 269
    return s


def corpus():
    r = np.random.default_rng(3)
    for c in W.CONCEPTS:                       # every form of a name becomes a piece
        for _ in range(400):
            yield f" {c['name']} {c['plural']} {W.cap(c['name'])} {c['name']}"
            yield c["name"]
            yield W.cap(c["name"]) + " " + W.cap(c["plural"])
    for w in W.COLOURS + list(W.GROUPS) + W.CANS + ["one", "two", "three", "four", "none", "nothing", "left", "right", "top", "bottom", "above"]:
        for _ in range(200):
            yield f" {w} {W.cap(w)}"
    for _ in range(30000):
        s = W.random_scene(r)
        yield W.caption(r, s)
        q, a, _ = V.ask_picture(r, s)
        yield q + "\n" + a
        q, a, _ = V.text_item(r)
        yield q + "\n" + a
        yield V.think_picture(s)
    for _ in range(8000):
        q, a, th = V.number_item(r)
        yield q + "\n" + a + (f"<think>{th}</think>{a}" if th else "")
        yield "user\nassistant\nsystem"


def main(out):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=SIZE, min_frequency=20, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    base = t.get_vocab_size()
    sp = specials()
    from tokenizers import AddedToken
    t.add_special_tokens([AddedToken(x, normalized=False, special=True) for x in sp])
    assert t.token_to_id("<|eot_id|>") == base + 268 and t.token_to_id("<|mdm_mask|>") == base + 256
    t.save(out + "/tokenizer.json", pretty=False)
    extra = ["<|mdm_mask|>", "<role>", "</role>", "<|arithmetic_start|>", "<|arithmetic_end|>", "<|number_start|>", "<|number_end|>"]
    flat = lambda x: {"content": x, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    json.dump({"additional_special_tokens": extra, "bos_token": flat("<|startoftext|>"), "cls_token": flat("[CLS]"),
               "eos_token": flat("<|endoftext|>"), "pad_token": flat("<|endoftext|>")},
              open(out + "/special_tokens_map.json", "w"), indent=1)
    json.dump({
        "add_bos_token": False, "add_eos_token": False,
        "added_tokens_decoder": {str(base + i): dict(flat(x), special=True) for i, x in enumerate(sp)},
        "additional_special_tokens": extra, "bos_token": "<|startoftext|>",
        "chat_template": "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{{ '<|start_header_id|>assistant<|end_header_id|>\n' }}",
        "thinking_prefix": W.THINKING_PREFIX,
        "clean_up_tokenization_spaces": False, "cls_token": "[CLS]", "eos_token": "<|endoftext|>", "fast_tokenizer": True,
        "gmask_token": "[gMASK]", "merges_file": None, "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": 512, "pad_token": "<|endoftext|>", "tokenizer_class": "PreTrainedTokenizerFast", "vocab_file": None,
    }, open(out + "/tokenizer_config.json", "w"), indent=1)
    print("base", base)
    bad = [f for c in W.CONCEPTS for f in (" " + c["name"], " " + c["plural"], c["name"]) if len(t.encode(f).ids) != 1]
    bad += [" " + w for w in W.COLOURS + list(W.GROUPS) + W.CANS if len(t.encode(" " + w).ids) != 1]
    print("names of more than one piece:", bad)
    for s in ["Describe the picture.", "What colour is the background?", "What is 47+38?", "<think>" + V.sum_steps(47, 38) + "</think>85", "assistant", "user", W.THINKING_PREFIX + "What is 4 + 8?", "The background is blue."]:
        print([t.decode([i]) for i in t.encode(s).ids])


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "..")
