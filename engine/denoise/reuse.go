package denoise

import "unmask/engine"

// cached reports whether mode reuses keys and values.
func cached(mode engine.CacheMode) bool {
	return mode == engine.CachePrefix || mode == engine.CacheDual
}

// reuse sets what pass i of block b feeds. The first pass of a block feeds everything and keeps keys and values; later
// ones feed the block and what follows it (prefix) or the block alone (dual), as Fast-dLLM does, arXiv:2505.22618.
// Where the prompt does not see the answer, the answer is fed in every pass and nothing is approximate.
func (r *run) reuse(b *block, i int) {
	r.input.Active, r.input.Keep = engine.Span{}, false
	switch {
	case !cached(r.o.Cache):
	case r.spec.PromptFirst:
		if r.input.Keep = r.index == 0; !r.input.Keep {
			r.input.Active = engine.Span{Lo: b.answer.Lo, Hi: len(r.seq.Tokens)}
		}
	case i == 0:
		r.input.Keep = true
	case r.o.Cache == engine.CachePrefix:
		r.input.Active = engine.Span{Lo: b.span.Lo, Hi: len(r.seq.Tokens)}
	default:
		r.input.Active = engine.Span{Lo: b.span.Lo, Hi: b.span.Hi}
	}
}
