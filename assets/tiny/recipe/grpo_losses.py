"""Losses of masked-diffusion pretraining (MMaDA) and policy losses (UniGRPO, diffu-GRPO) as functions of logits.

No function here knows a network: each takes logits or token log-probabilities. Shapes: B rows, L positions, V vocabulary rows, K
positions of the response. Log-probabilities are natural, masks are 1 (or True) where a position counts. `check_losses.py` compares
every function with numbers that the authors' code produced.
"""
import math

import torch
import torch.nn.functional as F

IGNORE = -100


# ---------------------------------------------------------------- noise of pretraining
def text_noise(ids, mask_id, u_t, u_pos, keep=None, eps=1e-3):
    """Masks text with probability p = (1 - eps) t + eps, one t a row. ids [B, L], u_t [B] and u_pos [B, L] uniform draws,
    keep [B, L] = positions never masked (the question). Returns the noised ids and p [B, L]."""
    p = ((1 - eps) * u_t + eps)[:, None].expand(ids.shape)
    m = u_pos < p
    if keep is not None:
        m = m & ~keep.bool()
    return torch.where(m, torch.full_like(ids, mask_id), ids), p


def image_noise(ids, mask_id, u_t, u_pos, schedule="cosine", least=1):
    """Masks round(n s(t)) picture tokens a row, at least `least`: those at which the permutation that sorts the draws
    holds a number below the count. ids [B, n] (with the vocabulary's offset), u_t [B], u_pos [B, n]. s is cos(pi t / 2) or 1 - t. Returns noised ids, labels (IGNORE where visible) and s [B]."""
    s = torch.cos(u_t * (math.pi / 2)) if schedule == "cosine" else 1 - u_t
    count = (ids.shape[1] * s).round().clamp(min=least)
    m = u_pos.argsort(-1) < count[:, None]
    return torch.where(m, torch.full_like(ids, mask_id), ids), torch.where(m, ids, torch.full_like(ids, IGNORE)), s


# ---------------------------------------------------------------- losses of pretraining
def t2i_loss(logits, labels, first):
    """Plain mean cross-entropy over the labelled positions from column `first` on (no 1/t weight)."""
    return F.cross_entropy(logits[:, first:].flatten(0, 1), labels[:, first:].flatten(), ignore_index=IGNORE)


def text_loss(logits, labels, masked, p, lengths=None):
    """Cross-entropy / p at the masked positions. With lengths [B, L] (answer length of each row, end padding counted) each row is
    divided by its own; without, by L. Mean over rows."""
    ce = F.cross_entropy(logits[masked], labels[masked], reduction="none") / p[masked]
    b, l = labels.shape
    return ce.sum() / (b * l) if lengths is None else (ce / lengths[masked]).sum() / b


def total_loss(t2i, lm, mmu, weights=(1.0, 0.1, 1.0)):
    return weights[0] * t2i + weights[1] * lm + weights[2] * mmu


# ---------------------------------------------------------------- noise of the policy losses
def unigrpo_ratios(times, start, lower=0.0, upper=1.0):
    """Mask ratios of UniGRPO: a random start in [0, 1), the others spread evenly over the whole range (wrapping round).
    Each ratio alone is uniform, and together they cover the range. start: one uniform draw a row [B]. Returns [times, B]."""
    k = torch.arange(times, dtype=start.dtype)[:, None] / times
    return lower + (upper - lower) * ((start[None] + k) % 1.0)


def random_masking(ids, mask_id, ratio, u_pos, start):
    """Masks response positions (from column `start` on) whose draw is below the row's ratio; the question is never masked.
    ids [B, L], ratio [B], u_pos [B, L]. Returns noised ids and the mask."""
    m = u_pos < ratio[:, None]
    m[:, :start] = False
    return torch.where(m, torch.full_like(ids, mask_id), ids), m


def tail(response, pad_id, pads):
    """The end padding behind its first `pads` positions: dLLM-RL hides it always and never scores it. None: no such tail."""
    pad = response == pad_id
    return torch.zeros_like(pad) if pads is None else pad & (pad.cumsum(-1) > pads)


def coupled(mask, start):
    """The complement of a mask within the response: a second row in which exactly the other tokens are hidden."""
    m = ~mask
    m[:, :start] = False
    return m


def trace_rows(order, shrink):
    """TraceRL's rows of one response: order [K] = the step at which each token was revealed, `shrink` neighbouring steps are one.
    Row i hides everything from aggregated step i on and scores the tokens of step i. Returns hidden [S, K] and scored [S, K].
    A row whose scored tokens all lie in the tail is of no use; the caller drops it."""
    steps = torch.unique(order)
    g = torch.searchsorted(steps, order) // shrink
    n = torch.arange(int(g.max()) + 1)[:, None]
    return g[None] >= n, g[None] == n


def diffu_noise(ids, mask_id, u_pos, prompt_len, p_prompt):
    """diffu-GRPO's single view: the whole response is masked, each question token with probability p_prompt."""
    m = u_pos < p_prompt
    m[..., prompt_len:] = True
    return torch.where(m, torch.full_like(ids, mask_id), ids)


# ---------------------------------------------------------------- log-probabilities and policy losses
def token_logps(logits, ids):
    """log softmax at the given ids. logits [..., V], ids [...]."""
    return torch.log_softmax(logits, -1).gather(-1, ids.long()[..., None])[..., 0]


def guided(cond, uncond, scale):
    """Classifier-free guidance in d1's form: u + (s + 1)(c - u); u is computed with the whole question masked."""
    return uncond + (scale + 1) * (cond - uncond)


def group_advantages(rewards, by_std=True, eps=1e-4):
    """rewards [G, N]: N responses to each of G questions. (r - mean), and for UniGRPO / std; d1 does not divide."""
    d = rewards - rewards.mean(1, keepdim=True)
    return d / (rewards.std(1, keepdim=True) + eps) if by_std else d


def surrogate(logp, old, adv, eps):
    """PPO's clipped surrogate per token (to be maximised), and where the clip is active, so that the token has no gradient.
    adv broadcasts against logp."""
    r = torch.exp(logp - old)
    a, b = r * adv, r.clamp(1 - eps, 1 + eps) * adv
    return torch.minimum(a, b), b < a


def kl_estimate(logp, other, k3=True):
    """Estimate of KL(policy || other) per token from samples: k3 = exp(d) - 1 - d with d = other - policy, or k1 = -d."""
    d = other - logp
    return torch.expm1(d.clamp(-10, 10)) - d if k3 else -d


def unigrpo_loss(logp, old, adv, mask, eps=0.2, beta=0.01, k3=True):
    """UniGRPO's loss for rows of re-masked responses. logp, old [B, L], adv [B], mask [B, L] = scored positions. The surrogate is the
    mean over each row's scored tokens, the KL against the old policy the sum over them; then the mean over rows.
    Returns loss, mean KL per scored token, share of clipped tokens."""
    m = mask.to(logp.dtype)
    n = m.sum(1).clamp(min=1)
    s, clipped = surrogate(logp, old, adv[:, None], eps)
    kl = kl_estimate(logp, old, k3)
    loss = -((s * m).sum(1) / n).mean() + beta * (kl * m).sum(1).mean()
    total = m.sum().clamp(min=1)
    return loss, ((kl * m).sum() / total).detach(), ((clipped * m).sum() / total).detach()


def diffu_grpo_loss(logp, old, ref, adv, mask, eps=0.5, beta=0.04):
    """d1's loss: one mean over all scored tokens of all rows, k3 KL against the reference policy. Shapes as in unigrpo_loss.
    Returns loss, mean KL, share of clipped tokens."""
    m = mask.to(logp.dtype)
    s, clipped = surrogate(logp, old, adv[:, None], eps)
    kl = kl_estimate(logp, ref)
    total = m.sum()
    return ((-s + beta * kl) * m).sum() / total, ((kl * m).sum() / total).detach(), ((clipped * m).sum() / total).detach()


def d1_sft_loss(logits, labels, t, prompt_tokens):
    """d1's fine-tuning loss: CE / t summed over labelled positions, divided by the batch's tokens without the questions'."""
    ce = F.cross_entropy(logits.flatten(0, 1), labels.flatten().long(), ignore_index=IGNORE, reduction="none").view(labels.shape)
    return (ce / t).sum() / (labels.numel() - prompt_tokens)
