"""Muon: momentum, then an approximate polar factor by Newton-Schulz; the RMS of an update is 0.2 lr, like Adam's."""
import torch

COEF = [(8.28721201814563, -23.595886519098837, 17.300387312530933), (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
        (3.9486908534822946, -2.908902115962949, 0.5518191394370137), (3.3184196573706015, -2.488488024314874, 0.51004894012372),
        (2.300652019954817, -1.6689039845749493, 0.4188073119525673)]


class Muon:
    def __init__(self, ps, momentum=0.95, wd=0.02, iters=4):
        self.groups, self.mom, self.wd, self.iters = {}, momentum, wd, iters
        for p in ps:
            m = p.reshape(p.shape[0], -1)
            self.groups.setdefault(tuple(sorted(m.shape)), []).append((p, m.shape[0] > m.shape[1]))
        self.buf = {k: torch.zeros(len(v), *k) for k, v in self.groups.items()}

    @torch.no_grad()
    def step(self, lr):
        for k, ps in self.groups.items():
            g = [p.grad.reshape(p.shape[0], -1) for p, _ in ps]
            g = torch.stack([x.T if t else x for x, (_, t) in zip(g, ps)])
            b = self.buf[k]
            b.lerp_(g, 1 - self.mom)
            x = g.lerp_(b, self.mom)
            x = (x / (x.flatten(1).norm(dim=1)[:, None, None] * 1.01 + 1e-9)).bfloat16()
            for a_, b_, c_ in COEF[:self.iters]:
                y = x @ x.mT
                y = torch.baddbmm(y, y, y, beta=b_, alpha=c_)
                x = torch.baddbmm(x, y, x, beta=a_, alpha=1)
            x = x.float()
            for i, (p, t) in enumerate(ps):
                u = (x[i].T if t else x[i]).reshape(p.shape)
                p.mul_(1 - lr * self.wd).sub_(u, alpha=lr * 0.2 * max(k) ** 0.5)
                p.grad = None
