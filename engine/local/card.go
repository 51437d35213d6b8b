package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"unmask/engine"
	"unmask/engine/models"
	"unmask/engine/tensor"
	"unmask/engine/weights"
)

// Describe says what the checkpoint at path is, changed by PEFT adapters or not, without loading it: its headers and small
// files are read, no weights. path "" is embedded. What is known of a checkpoint that cannot be opened comes with the
// error.
func Describe(ctx context.Context, embedded fs.FS, ref engine.ModelRef) (card engine.Card, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("describe: %w", err)
		}
	}()
	err = guard(func() error {
		card, err = describeCard(ctx, embedded, ref)
		return err
	})
	return card, err
}

func describeCard(ctx context.Context, embedded fs.FS, ref engine.ModelRef) (engine.Card, error) {
	card := engine.Card{Path: ref.Path, Name: filepath.Base(ref.Path), Need: map[string]int64{}}
	set, err := openSet(embedded, ref)
	if err != nil {
		return card, err
	}
	card.Format, card.Files, card.Disk = set.Format(), set.Files(), set.Bytes()
	card.Stored = stored(set)
	card.Licence = licence(set)
	if ref.Path != "" && len(ref.Adapters) == 0 && set.Path() != ref.Path && filepath.Dir(ref.Path) != set.Path() {
		card.Base = set.Path()
	}
	for _, as := range engine.Types {
		if set == nil {
			if set, err = openSet(embedded, ref); err != nil {
				return card, err
			}
		}
		m, err := bindNothing(ctx, set, as)
		set = nil // the model has taken it over
		if err != nil {
			return card, err
		}
		m.nameAdapters(ref)
		card.Need[as] = m.spec.Bytes
		if as == engine.Types[0] {
			card.Spec, card.Params, card.Family, card.Work = m.spec, m.spec.Params, m.spec.Family, m.work()
			card.Doubts = m.spec.Doubts
		}
		if err := m.close(); err != nil {
			return card, err
		}
	}
	if card.Spec.Name != "" {
		card.Name = card.Spec.Name
	}
	if i := slices.IndexFunc(models.All, func(f models.Family) bool { return f.Name == card.Family }); i >= 0 {
		card.Paper = models.All[i].Paper
	} else if card.Family == "diffusion-lm" {
		card.Paper = "arXiv:2205.14217"
	}
	return card, nil
}

// bindNothing opens set without its weights. The model takes set over, also on an error.
func bindNothing(ctx context.Context, set *weights.Set, as string) (*model, error) {
	if isEmbedding(set) {
		m, err := openEmbedding(ctx, set, nothing{}, nil)
		if err != nil {
			return nil, errors.Join(err, set.Close())
		}
		m.close = set.Close
		return m, nil
	}
	net, err := models.Open(ctx, set, nothing{}, models.OpenOptions{DType: as})
	if err != nil {
		return nil, err
	}
	m := around(net, nothing{})
	m.close = net.Close
	if err := m.describe(set); err != nil {
		return nil, errors.Join(err, net.Close())
	}
	return m, nil
}

// openSet opens the files that ref names.
func openSet(embedded fs.FS, ref engine.ModelRef) (*weights.Set, error) {
	switch {
	case len(ref.Adapters) > 0 && ref.Path == "":
		return nil, &engine.UnsupportedError{What: "an adapter over the embedded model", Have: "adapters over a model in a folder"}
	case len(ref.Adapters) > 0:
		return weights.OpenAdapted(ref.Path, ref.Adapters...)
	case ref.Path != "":
		return weights.OpenDir(ref.Path)
	case embedded == nil:
		return nil, engine.ErrNoModel
	}
	return weights.OpenFS(embedded)
}

// stored is the type that most bytes of set are stored in.
func stored(set *weights.Set) string {
	bytes := map[string]int64{}
	most := ""
	for _, n := range set.Names() {
		t, b, _ := set.Stored(n)
		k := strings.ToLower(string(t.DType))
		if bytes[k] += b; bytes[k] > bytes[most] {
			most = k
		}
	}
	return most
}

// workLength is how many positions the memory beside the weights is reckoned for.
const workLength = 2048

// work is the memory that a run takes beside the weights: keys and values of all layers, eight rows of the width at every
// position, and the logits of a block of 64.
func (m *model) work() int64 {
	length := int64(min(m.spec.MaxLen, workLength))
	keys := int64(m.spec.Width)
	if net, ok := m.denoiser.(*models.Model); ok && net.Stack != nil && len(net.Stack.Blocks) > 0 {
		a := net.Stack.Blocks[0].Attn
		keys = int64(a.KVHeads * a.HeadWidth)
	}
	return 4 * (2*int64(m.spec.Layers)*length*keys + 8*length*int64(m.spec.Width) + 64*int64(m.spec.Vocab))
}

// fits compares what the weights will take at least with the memory that is free.
func fits(set *weights.Set, d tensor.Device, ref engine.ModelRef) error {
	var elements, need int64
	for _, n := range set.Names() {
		t, _, _ := set.Stored(n)
		elements += int64(t.Len())
	}
	switch ref.DType {
	case "f32":
		need = 4 * elements
	case "bf16":
		need = 2 * elements
	case "i8":
		need = elements
	case "i4":
		need = elements / 2
	default:
		need = min(set.Bytes(), 4*elements)
	}
	if d.Memory > 0 && need > d.Memory {
		return &engine.MemoryError{What: "the model in " + set.Path(), Need: need, Have: d.Memory}
	}
	return nil
}

// licenceLine is the licence of a model card: a line of its front matter, or of the header of a CARD.md.
var licenceLine = regexp.MustCompile(`(?mi)^\W*licen[sc]e(?:_name)?\W*:\s*["'*]*([A-Za-z0-9][A-Za-z0-9 .+_-]{0,60}?)["'*.]*\s*$`)

// licence is what the card beside the weights says, or the name at the head of a licence file; "" where neither does.
func licence(set *weights.Set) string {
	for _, name := range []string{"README.md", "CARD.md", "MODEL_CARD.md"} {
		text, err := set.File(name)
		if err != nil {
			continue
		}
		found := ""
		for _, m := range licenceLine.FindAllSubmatch(text, 4) {
			if found == "" || strings.EqualFold(found, "other") { // license: other, license_name: ...
				found = string(m[1])
			}
		}
		if found != "" {
			return found
		}
	}
	for _, name := range []string{"LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE"} {
		text, err := set.File(name)
		if err != nil {
			continue
		}
		for _, k := range [][2]string{{"Apache License", "apache-2.0"}, {"MIT License", "mit"}, {"Permission is hereby granted, free of charge", "mit"}} {
			if strings.Contains(string(text[:min(len(text), 2000)]), k[0]) {
				return k[1]
			}
		}
		return "see " + name
	}
	return ""
}
