"""Writes vectors.json.gz: tokenizer files of many kinds and what the Python tokenizers package (0.23.3) does with hard
strings. Run from this folder: python vectors.py. A text is stored as a string, or as {"hex": ...} when it is no UTF-8, and
then Python read it with errors="replace"."""
import gzip
import json
import random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

rnd = random.Random(20)
QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = QWEN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
BAILING = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")

SAMPLES = """The quick brown fox can't jump; they're lazy, I'll bet, and it's over. WE'LL SEE, IT'S THEY'VE
Größe, Straße, naïve café, crème brûlée, coöperate, Zürich, ĲSSEL, ﬁne ﬂow, İstanbul ıssız, ΣΑΣ σοφός
Привет, как дела? Ёлка и ёж. Україна їжак
Η γρήγορη αλεπού πηδά
مرحبا بالعالم، كيف حالك؟ السَّلَامُ عَلَيْكُم
שלום עולם, מה שלומך? שָׁלוֹם
नमस्ते दुनिया, आप कैसे हैं? क्षत्रिय
ভালো আছি, ধন্যবাদ। தமிழ் மொழி
สวัสดีชาวโลก ภาษาไทย
你好，世界！今天天气怎么样？繁體中文
こんにちは世界。ひらがなとカタカナ、ﾊﾝｶｸ
안녕하세요 세계! 한국어 조합 가나다
Tiếng Việt: Xin chào thế giới, Đường
x = 3.14159; y += 2**10; if (a && b) { return c[0]->d; } // 1,234,567.89 0xFF 1e-9
def f(x):\n    return x * 2  # doubled\n\tpass
½ ⅓ ² ³ ① Ⅷ ٣ ४ 万 ㊿ 𝟙𝟚𝟛 ߁߂ ໐໑
👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 ❤️ ☺ 😀😃😄 🧑🏿‍🚀 #️⃣
é é ñ ñ Å Å ộ ộ 가 가 ｱ ﾞ
“quotes” ‘single’ … — – ‐ ‑ ‹› «» ¿? ¡! § ¶ † ‡ • ‰ ′ ″
→ ← ↑ ∀x∈ℝ: ⌈x⌉ ≤ ∞ ∑∏√ ½ ± × ÷ ≈ ≠
𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝒜 𝕊 𐍈𐌰 𐐷 𠀀𪚥 🀄
<think>reasoning</think> <|im_start|>user\nHi<|im_end|> <|eot_id|>
http://example.com/a?b=c&d=%20e#f user@example.org #tag @name $5.00 50% C:\\dir\\file.txt
ſ 'ſ 'S 'LL 'Re x's X'S don’t I'M you'D 've''ll'''t 's's""".split("\n")
SAMPLES = [s.replace("\\n", "\n").replace("\\t", "\t") for s in SAMPLES]
SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\n\n", "\u00a0", "\u3000", "\u2003", "\u2028", "\u0085", "\u200b", "\u180e", "\ufeff", "\x0b", "\x0c",
          " \n", "\n ", " \n \n ", "\r", "\r\r\n", "\u1680"]
ODD = ["\x00", "\x01", "\x7f", "\u00ad", "\u200d", "\u200c", "\u202e", "\ufffd", "\ufffe", "\U0010ffff", "\ue000", "\u0378", "\u0301", "\u0300\u0323", "\u20dd",
       "\u0e33", "\ufe0f", "\U000e0067", "\u1f80", "\ufb06", "\u0345", "\u212a", "ǅ", "ʰ", "ª", "º", "ⅷ", "_", "__init__", "ا\u0651", "\u0903", "‿", "\u2060", "ℵ"]
WORDS = sorted({w for s in SAMPLES for w in s.split()})
SPECIAL = ["<|startoftext|>", "<|endoftext|>", "<|eot_id|>", "<|mdm_mask|>", "<mask>", "[SEP]", "tok", "MiXed", "ab", "abc", "<think>", "<|eot_id", "eot_id|>",
           "▁", "Ġ", "<0x41>", "##ing", "[UNK]", "<pad>", "é!"]


def texts(n):
    out = ["", " ", "a", "\n", "'", "'s", " 's", "''", "1", "12345678901234567890", "a" * 300, " " * 50, "ab" * 200, "\n" * 20, "?!" * 40]
    out += SAMPLES + SPACES + ODD + SPECIAL
    while len(out) < n:
        k = rnd.randint(1, 9)
        parts = []
        for _ in range(k):
            r = rnd.random()
            if r < .42:
                parts.append(rnd.choice(WORDS))
            elif r < .67:
                parts.append(rnd.choice(SPACES) if rnd.random() < .6 else " ")
            elif r < .77:
                parts.append(rnd.choice(ODD))
            elif r < .87:
                parts.append(rnd.choice(SPECIAL))
            elif r < .92:
                parts.append(str(rnd.randint(0, 10 ** rnd.randint(1, 9))))
            elif r < .96:
                s = rnd.choice(SAMPLES)
                a = rnd.randrange(len(s) + 1)
                parts.append(s[a:a + rnd.randint(1, 12)])
            else:
                c = [chr(rnd.choice([rnd.randrange(32, 0x250), rnd.randrange(0x370, 0x3100), rnd.randrange(0x1F300, 0x1FA00)])) for _ in range(4)]
                # Punctuation whose class changed after Unicode 8, which the reference's punctuation table is of.
                parts.append("".join(x for x in c if not ("\u2e43" <= x <= "\u2e5d" or x == "\u166d")))
        out.append("".join(parts))
    return out


def broken(n):
    out = [b"\xff", b"a\xc3", b"\xe2\x82", b"\xe2\x82x", b"\xf0\x9f\x91", b"\xf0\x9f\x91\xf0\x9f", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe0\x9f\xbf",
           b"\x80\x80\x80", b"ok \xc3\xa9 \xc3", b"\xf8\x88\x80\x80\x80", b"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf A"]
    while len(out) < n:
        b = bytearray(rnd.choice(SAMPLES).encode()[:rnd.randint(4, 30)])
        for _ in range(rnd.randint(1, 3)):
            b[rnd.randrange(len(b))] = rnd.randrange(256)
        out.append(bytes(b))
    return out


def train(t, size, special=(), alphabet=True, **kw):
    t.train_from_iterator(SAMPLES * 3, trainers.BpeTrainer(vocab_size=size, min_frequency=2, special_tokens=list(special), show_progress=False,
                          initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if alphabet else [], **kw))
    return t


def byte_level(pattern, size, normalizer=None):
    t = Tokenizer(models.BPE())
    if normalizer:
        t.normalizer = normalizer
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    train(t, size)
    t.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in ("<|startoftext|>", "<|endoftext|>", "<|mdm_mask|>", "<|eot_id|>")])
    t.add_tokens([AddedToken("<think>", special=False, normalized=False), AddedToken("abc", normalized=True), AddedToken("é!", normalized=True)])
    return t


def all_tokenizers():
    yield "qwen", byte_level(QWEN, 600, normalizers.NFC()), 420, 60
    yield "llama3", byte_level(LLAMA3, 600), 300, 40
    yield "bailing", byte_level(BAILING, 600), 300, 0
    yield "o200k", byte_level(O200K, 500), 300, 0

    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    t.decoder = decoders.ByteLevel()
    train(t, 500, ["<|endoftext|>"])
    t.add_tokens([AddedToken("<mask>", lstrip=True, special=True, normalized=False), AddedToken("[SEP]", rstrip=True, special=True, normalized=False),
                  AddedToken("tok", single_word=True, normalized=False), AddedToken("ab"), AddedToken("abc")])
    yield "gpt2", t, 300, 40

    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Replace(" ", "▁")
    t.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    train(t, 700, ["<pad>", "<unk>"] + [f"<0x{b:02X}>" for b in range(256)], alphabet=False, limit_alphabet=120)
    yield "gemma", t, 250, 30

    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=False))
    t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), normalizers.Strip(), normalizers.Replace(Regex("q+"), "k")])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Digits(individual_digits=False), pre_tokenizers.Punctuation("contiguous")])
    train(t, 400, ["<unk>"], alphabet=False, limit_alphabet=60)
    t.add_tokens([AddedToken("MiXed", normalized=True), AddedToken("tok", single_word=True, normalized=True), AddedToken("[SEP]", lstrip=True, rstrip=True)])
    yield "classic", t, 250, 0

    t = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>", continuing_subword_prefix="@@"))
    t.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Split(Regex(r"\d"), "merged_with_next")])
    t.decoder = decoders.BPEDecoder()
    train(t, 400, ["<unk>"], alphabet=False, limit_alphabet=70, end_of_word_suffix="</w>", continuing_subword_prefix="@@")
    yield "affixes", t, 200, 0

    t = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", ignore_merges=True))
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    train(t, 650, ["<unk>", "<pad>"] + [f"<0x{b:02X}>" for b in range(256)], alphabet=False, limit_alphabet=100)
    yield "metaspace", t, 250, 0

    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer()
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    t.train_from_iterator(SAMPLES * 3, trainers.WordPieceTrainer(vocab_size=600, special_tokens=["[PAD]", "[UNK]", "[SEP]"], show_progress=False))
    yield "bert", t, 250, 0


def main():
    result, total = [], 0
    for name, t, n, nbroken in all_tokenizers():
        cases = [(s, s) for s in texts(n)] + [({"hex": b.hex()}, b.decode("utf-8", "replace")) for b in broken(nbroken)]
        rows = []
        for stored, text in cases:
            ids = t.encode(text, add_special_tokens=False).ids
            rows.append([stored, ids, t.decode(ids, skip_special_tokens=False)])
        total += len(rows)
        result.append({"name": name, "tokenizer": json.loads(t.to_str()), "cases": rows})
    data = json.dumps(result, ensure_ascii=False, separators=(",", ":")).encode()
    with gzip.GzipFile("vectors.json.gz", "wb", 9, mtime=0) as f:
        f.write(data)
    print(total, "cases", len(data), "bytes")


if __name__ == "__main__":
    main()
