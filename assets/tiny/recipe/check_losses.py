"""Compares grpo_losses.py with what the authors' code computed on a tiny checkpoint, within the fixtures' own tolerances.

usage: check_losses.py FIXTURES       (a folder with mmada_losses/, mmada/, d1/ and llada/; absent ones are named and skipped)
"""
import json
import os
import sys
import unittest

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

import grpo_losses as G

ROOT = ""
RUN = {"compared": 0, "arrays": 0}


def read(path):
    with open(path) as f:
        return json.load(f)


class Net:
    """LLaDA's network in float32 from named tensors; bias is added to the attention scores; adapters are low-rank additions."""

    def __init__(self, folder, adapter=None):
        self.t = load_file(os.path.join(folder, "model.safetensors"))
        self.c = read(os.path.join(folder, "config.json"))
        self.lora, self.scale = {}, 0.0
        if adapter:
            a = read(os.path.join(adapter, "adapter_config.json"))
            self.scale = a["lora_alpha"] / a["r"]
            self.lora = {k: v.requires_grad_() for k, v in load_file(os.path.join(adapter, "adapter_model.safetensors")).items()}
        else:
            for v in self.t.values():
                v.requires_grad_()

    def lin(self, name, x):
        y = x @ self.t[name + ".weight"].T
        a = "base_model.model." + name + ".lora_A.weight"
        if a in self.lora:
            y = y + self.scale * (x @ self.lora[a].T) @ self.lora[a.replace("lora_A", "lora_B")].T
        return y

    def norm(self, name, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.c["rms_norm_eps"]) * self.t[name + ".weight"]

    def __call__(self, ids, bias=None):
        p, c = "model.transformer.", self.c
        b, l = ids.shape
        h, d = c["n_heads"], c["d_model"]
        hd = d // h
        x = self.t[p + "wte.weight"][ids.long()]
        f = torch.arange(l)[:, None] / c["rope_theta"] ** (torch.arange(0, hd, 2) / hd)
        cos, sin = torch.cat([f, f], -1).cos(), torch.cat([f, f], -1).sin()
        turn = lambda v: v * cos + torch.cat([-v[..., hd // 2:], v[..., :hd // 2]], -1) * sin
        for i in range(c["n_layers"]):
            q = f"{p}blocks.{i}."
            y = self.norm(q + "attn_norm", x)
            heads = lambda n: self.lin(q + n, y).view(b, l, h, hd).transpose(1, 2)
            s = turn(heads("q_proj")) @ turn(heads("k_proj")).transpose(-1, -2) / hd ** 0.5
            if bias is not None:
                s = s + bias
            x = x + self.lin(q + "attn_out", (torch.softmax(s, -1) @ heads("v_proj")).transpose(1, 2).reshape(b, l, d))
            y = self.norm(q + "ff_norm", x)
            x = x + self.lin(q + "ff_out", F.silu(self.lin(q + "ff_proj", y)) * self.lin(q + "up_proj", y))
        return self.norm(p + "ln_f", x) @ self.t[p + "ff_out.weight"].T


class Fixture(unittest.TestCase):
    def open(self, name, base):
        d = os.path.join(ROOT, name)
        for need in (d, os.path.join(ROOT, base)):
            if not os.path.isdir(need):
                self.skipTest(f"{need} is not there")
        self.a = load_file(os.path.join(d, "golden.safetensors"))
        self.j = read(os.path.join(d, "golden.json"))
        return os.path.join(ROOT, base)

    def same(self, name, got):
        self.equal(name, got, self.a[name])

    def equal(self, name, got, want):
        self.assertTrue(torch.equal(got.long(), want.long()), name)
        RUN["compared"] += got.numel(); RUN["arrays"] += 1

    def near(self, name, got, want=None, tol=None):
        want = self.a[name] if want is None else torch.as_tensor(want)
        t = tol or self.j["tolerances"][name]
        # eight times the authors' own float32 error where a fixture states that error alone; never under 1e-6 of the scale
        atol = t["atol"] if "atol" in t else max(8 * t["max_abs_err_f32_vs_f64"], 1e-6 * t["max_abs_value"])
        self.assertEqual(tuple(got.shape), tuple(want.shape), name)
        err = (got.detach() - want).abs().max().item()
        self.assertLessEqual(err, atol, f"{name}: off by {err:.3g}, allowed {atol:.3g}")
        RUN["compared"] += got.numel(); RUN["arrays"] += 1


class MMaDA(Fixture):
    def setUp(self):
        self.base = self.open("mmada_losses", "mmada")
        self.net = Net(self.base)
        self.mask = self.j["mask_id"]

    def grads(self, name, loss):
        for v in self.net.t.values():
            v.grad = None
        loss.backward()
        g = {k: (torch.zeros_like(v) if v.grad is None else v.grad) for k, v in self.net.t.items()}
        p = "model.transformer."
        self.near(name + ".grad_norms", torch.stack([g[k].norm() for k in self.j["parameter_order"]]))
        self.near(name + ".grad.ff_out_head", g[p + "ff_out.weight"][::16])
        self.near(name + ".grad.block0_q_proj", g[p + "blocks.0.q_proj.weight"][:8])
        self.near(name + ".grad.wte_mask_row", g[p + "wte.weight"][self.mask])
        self.near(name + ".grad.ln_f", g[p + "ln_f.weight"])
        self.near(name + ".grad.block0_attn_norm", g[p + "blocks.0.attn_norm.weight"])

    def logits(self, n, rows=slice(None)):
        ids = self.a[n + ".input_ids"][rows]
        vis = torch.ones(ids.shape[0], ids.shape[1], ids.shape[1])
        m = self.a[n + ".t2i_mask"]
        vis[:2] = (m[:, :, None] & m[:, None, :]).float()      # in training the pair mask is added as 0 and 1
        return self.net(ids, vis[:, None])

    def noise(self, n, k):
        return self.a[f"{n}.noise.rand.{k:02d}"]

    def losses(self, n):
        a, chat = self.a, self.j[n]["chat"]
        ids, lab = a[n + ".input_ids"], a[n + ".labels"]
        lg = self.logits(n)
        masked = ids == self.mask
        t2i = G.t2i_loss(lg[:2], lab[:2], self.j["max_seq_length"] + 1)
        lm = G.text_loss(lg[2:4], lab[2:4], masked[2:4], a[n + ".p_mask_lm"], a[n + ".answer_lengths_lm"] if chat else None)
        mmu = G.text_loss(lg[4:], lab[4:], masked[4:], a[n + ".p_mask_mmu"], a[n + ".answer_lengths_mmu"])
        return lg, t2i, lm, mmu

    def test_pretraining(self):
        for n in ("stage2", "stage4"):
            with self.subTest(n):
                lg, t2i, lm, mmu = self.losses(n)
                self.near(n + ".logits_row0_pos", lg[0, ::7])
                if n == "stage2":
                    self.near("forward_t2i.loss", t2i)
                for k, v in zip(("t2i", "lm", "mmu"), (t2i, lm, mmu)):
                    self.near(f"{n}.loss_{k}", v)
                total = G.total_loss(t2i, lm, mmu, self.j[n]["coeffs"])
                self.near(n + ".loss_total", total)
                self.grads(n, total)

    def test_reason_then_draw(self):
        a, ids = self.a, self.a["r2i.input_ids"]
        lg = self.net(ids)
        self.near("r2i.loss_r2i", G.text_loss(lg, a["r2i.labels"], ids == self.mask, a["r2i.p_mask"], a["r2i.answer_lengths"]))
        got, p = G.text_noise(a["r2i.labels"], self.mask, self.noise("r2i", 0), self.noise("r2i", 1), a["r2i.prompt_mask"])
        self.same("r2i.input_ids", got)
        self.near("r2i.p_mask", p)

    def test_noise(self):
        for n in ("stage2", "stage4"):
            with self.subTest(n):
                a, first = self.a, self.j["max_seq_length"] + 2
                codes = a[n + ".codes"][:2] + self.j["image_token_offset"]
                ids, lab, s = G.image_noise(codes, self.mask, self.noise(n, 0), self.noise(n, 1), self.j[n]["schedule"])
                self.equal("codes", ids, a[n + ".input_ids"][:2, first:-1])
                self.equal("labels of codes", lab, a[n + ".labels"][:2, first:-1])
                self.near(n + ".mask_prob_t2i", s)
                lab = a[n + ".labels"]
                for k, rows, d, keep in (("lm", slice(2, 4), 3, None), ("mmu", slice(4, 6), 5, a[n + ".mmu_prompt_mask"])):
                    clean = torch.where(lab[rows] >= 0, lab[rows], a[n + ".input_ids"][rows])
                    if k == "lm" and self.j[n]["chat"]:
                        width = clean.shape[1]
                        keep = torch.arange(width)[None] < (width - a[n + ".answer_lengths_lm"][:, :1])
                    ids, p = G.text_noise(clean, self.mask, self.noise(n, d), self.noise(n, d + 1), keep)
                    self.equal("ids of " + k, ids, a[n + ".input_ids"][rows])
                    self.near(f"{n}.p_mask_{k}", p)

    def test_policy(self):
        for n in [k for k in self.j if k.startswith("rl_")]:
            with self.subTest(n):
                a, c = self.a, self.j[n]["training"]
                ids, lab = a[n + ".input_ids"], a[n + ".labels"]
                scored = a[n + ".p_mask"].bool()
                logp = G.token_logps(self.net(ids), lab)
                # unscored columns of the fixture are whole rows as well: every position is compared
                self.near(n + ".logp_model", logp)
                old = logp.detach() + a[n + ".noise.old_logp_offset.00"]
                self.near(n + ".logp_old", old)
                arg = (a[n + ".advantage"], scored, c["eps"], c["beta"], c["use_kl_estimator_k3"])
                self.near(n + ".loss_on_policy", G.unigrpo_loss(logp, logp.detach(), *arg)[0])
                loss = G.unigrpo_loss(logp, a[n + ".logp_old"], *arg)[0]
                self.near(n + ".loss", loss)
                self.grads(n, loss)

    def test_policy_noise(self):
        for n in [k for k in self.j if k.startswith("rl_")]:
            with self.subTest(n):
                c, start = self.j[n]["training"], self.j[n]["start_pos"]
                lab = self.a[n + ".labels"]
                pad = read(os.path.join(self.base, "config.json"))["pad_token_id"]
                rows = self.trace(n, lab, pad, c, start) if c["method"] == "TraceRL" else self.masked(n, lab, pad, c, start)
                self.same(n + ".input_ids", torch.cat([r for r, _ in rows]))
                self.same(n + ".p_mask", torch.cat([s for _, s in rows]))

    def masked(self, n, lab, pad, c, start):
        """Rows of random masking; with coupling each is followed by its complement."""
        per, out = (2 if c["method"] == "coupled" else 1), []
        for i in range(len(lab) // per):
            row = lab[i * per:i * per + 1]
            ratio = c["lower_p"] + (c["upper_p"] - c["lower_p"]) * self.noise(n, 2 * i)
            _, m = G.random_masking(row, self.mask, ratio, self.noise(n, 2 * i + 1)[None], start)
            cut = torch.zeros_like(m)
            cut[:, start:] = G.tail(row[:, start:], pad, c["post_num"])
            for k in (m, G.coupled(m, start))[:per]:
                out.append((torch.where(k | cut, torch.full_like(row, self.mask), row), k & ~cut))
        return out

    def trace(self, n, lab, pad, c, start):
        """Rows of TraceRL, without those that score nothing."""
        at, out, k = 0, [], lab.shape[1] - start
        for order in self.j[n]["step_map"]:
            row = lab[at:at + 1]
            hide, score = (x[:, :k] for x in G.trace_rows(torch.tensor(order), c["shrink"]))
            score = score & ~G.tail(row[:, start:], pad, c["post_num"])
            for h, s in zip(hide, score):
                if s.any():
                    r, m = row.clone(), torch.zeros_like(row, dtype=torch.bool)
                    r[:, start:][:, h] = self.mask
                    m[:, start:] = s
                    out.append((r, m)); at += 1
        return out


class D1(Fixture):
    def setUp(self):
        self.base = self.open("d1", "llada")
        self.net = Net(self.base, os.path.join(ROOT, "d1", "adapter_rl"))
        self.mask = self.j["mask_id"]

    def test_logps(self):
        for n in [k for k in self.j["runs"] if k.startswith("grpo.logps")]:
            r = self.j["runs"][n]
            seq, u, keep = self.a[n + ".sequences"], self.a[n + ".uniform"], r["logits_to_keep"]
            p = seq.shape[1] - keep
            noisy, out = [], []
            for i in range(r["iterations"]):
                x = G.diffu_noise(seq, self.mask, u[i], p, r["p_mask_prompt"])
                lg = self.net(x)
                if r["cfg_scale"] > 0:
                    un = x.clone()
                    un[:, :p] = self.mask
                    lg = G.guided(lg, self.net(un), r["cfg_scale"])
                noisy.append(x)
                out.append(G.token_logps(lg[:, -keep:], seq[:, -keep:]))
            self.same(n + ".noisy", torch.stack(noisy))
            self.near(n + ".per_token_logps", torch.stack(out))

    def test_loss(self):
        n = "grpo.loss"
        r = self.j["runs"][n]
        a, i, keep = self.a, r["iteration_index"], r["logits_to_keep"]
        seq = a[n + ".sequences"]
        x = G.diffu_noise(seq, self.mask, a[n + ".uniform"][0], seq.shape[1] - keep, r["p_mask_prompt"])
        logp = G.token_logps(self.net(x)[:, -keep:], seq[:, -keep:])
        loss, kl, clip = G.diffu_grpo_loss(logp, a[n + ".old_per_token_logps"][i], a[n + ".ref_per_token_logps"][i],
                                           a[n + ".advantages"], a[n + ".completion_mask"], r["epsilon"], r["beta"])
        # the fixture states the scalar's float64 value: the same rule as for arrays
        tol = {"max_abs_err_f32_vs_f64": abs(r["loss"] - r["loss_float64"]), "max_abs_value": abs(r["loss"])}
        self.near(n, loss, r["loss"], tol)
        self.near(n + " kl", kl, r["kl"], dict(tol, max_abs_value=r["kl"]))
        # d1 reports the share of tokens whose clipped value is the larger one, not of those without gradient
        ratio, adv = torch.exp(logp - a[n + ".old_per_token_logps"][i]), a[n + ".advantages"][:, None]
        more = (ratio.clamp(1 - r["epsilon"], 1 + r["epsilon"]) * adv > ratio * adv) & a[n + ".completion_mask"].bool()
        self.near(n + " clip", more.sum() / a[n + ".completion_mask"].sum(), r["clip_ratio"], dict(tol, max_abs_value=1.0))
        loss.backward()
        self.adapter_grads(n)

    def test_sft(self):
        n = "sft.loss"
        r = self.j["runs"][n]
        a = self.a
        self.net = Net(self.base, os.path.join(ROOT, "d1", "adapter_sft"))
        seq = a[n + ".sequences"]
        t = (0.999 * a[n + ".t_uniform"] + 0.001)[:, None].expand(seq.shape)
        masked = a[n + ".mask_uniform"] < t
        masked[:, :r["prompt_length"]] = False
        self.same(n + ".input_ids", torch.where(masked, torch.full_like(seq, self.mask), seq))
        lab = torch.where(masked, seq, torch.full_like(seq, G.IGNORE))
        self.same(n + ".labels", lab)
        loss = G.d1_sft_loss(self.net(a[n + ".input_ids"]), lab, t, r["num_prompt_tokens"])
        self.near(n, loss, r["loss"], {"max_abs_err_f32_vs_f64": abs(r["loss"] - r["loss_float64"]), "max_abs_value": abs(r["loss"])})
        loss.backward()
        self.adapter_grads(n)

    def adapter_grads(self, n):
        for k in [k for k in self.a if k.startswith(n + ".grad.")]:
            self.near(k, self.net.lora[k[len(n + ".grad."):].replace(".default", "")].grad)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    ROOT = sys.argv.pop(1)
    torch.set_num_threads(1)
    ok = unittest.main(exit=False, verbosity=2).result.wasSuccessful()
    print(f"{RUN['arrays']} arrays, {RUN['compared']} numbers compared")
    sys.exit(not ok or RUN["arrays"] == 0)
