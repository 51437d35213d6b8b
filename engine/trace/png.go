package trace

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/png"
	"io"
	"sort"
	"strconv"
	"strings"

	"unmask/engine"
)

const (
	pngSignature = "\x89PNG\r\n\x1a\n"
	// runChunk is the private chunk with the run file: ancillary, private, safe to copy.
	runChunk = "umRn"
	maxFile  = 256 << 20 // bytes of a PNG that is read for its run
)

// EncodePNG writes img with the run that made it: text fields for people and other programs ("prompt", "seed", "model",
// "parameters", "Software") and the run file itself, without previews and without the finished picture, which img is. run
// may be nil.
func EncodePNG(w io.Writer, img image.Image, run *Run) error {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return fmt.Errorf("write picture: %w", err)
	}
	if run == nil {
		_, err := w.Write(b.Bytes())
		return err
	}
	const header = len(pngSignature) + 12 + 13 // up to the end of IHDR
	out := append([]byte(nil), b.Bytes()[:header]...)
	for _, f := range Fields(run) {
		// keyword, 0, not compressed, method 0, no language, no translated keyword
		out = appendChunk(out, "iTXt", []byte(f.Key+"\x00\x00\x00\x00\x00"+f.Value))
	}
	var file bytes.Buffer
	light := *run
	light.Previews = nil
	if light.Finished != nil {
		f := *light.Finished
		f.Image = nil
		light.Finished = &f
	}
	if err := light.Write(&file); err != nil {
		return err
	}
	out = appendChunk(out, runChunk, file.Bytes())
	out = append(out, b.Bytes()[header:]...)
	_, err := w.Write(out)
	return err
}

// Write writes the run as a run file.
func (r *Run) Write(w io.Writer) error {
	t := NewWriter(w, r.Program)
	t.header.Created = r.Created
	err := t.Write(r.Started)
	next := 0
	for _, s := range r.Steps {
		if err == nil {
			err = t.Write(s)
		}
		for ; err == nil && next < len(r.Previews) && r.Previews[next].Step <= s.Index; next++ {
			err = t.Write(r.Previews[next])
		}
	}
	if r.Finished != nil && err == nil {
		err = t.Write(r.Finished)
	}
	if r.Reason != "" && err == nil {
		err = t.End(fmt.Errorf("%s", r.Reason))
	}
	if closeErr := t.Close(); err == nil {
		err = closeErr
	}
	return err
}

// Field is a text field of a PNG.
type Field struct{ Key, Value string }

// Fields are the text fields of a run's PNG.
func Fields(r *Run) []Field {
	s := r.Started
	var prompts []string
	for _, m := range s.Job.Messages {
		prompts = append(prompts, m.Text)
	}
	return []Field{
		{"Software", r.Program},
		{"prompt", strings.Join(prompts, "\n")},
		{"seed", strconv.FormatUint(s.Job.Options.Seed, 10)},
		{"model", s.Spec.Name + " sha256:" + s.Spec.Hash},
		{"parameters", Parameters(s.Job)},
	}
}

// Parameters are a job's settings in one line for people: "Task: text_to_image, Steps: 12, Sampler: maskgit, ...".
func Parameters(j engine.Job) string {
	o := j.Options
	parts := []string{"Task: " + string(j.Task), fmt.Sprintf("Steps: %d", o.Steps), "Sampler: " + o.Sampler, "Schedule: " + o.Schedule,
		fmt.Sprintf("Seed: %d", o.Seed), fmt.Sprintf("Temperature: %g", o.Temperature), fmt.Sprintf("Guidance: %g", o.Guidance)}
	add := func(set bool, format string, v any) {
		if set {
			parts = append(parts, fmt.Sprintf(format, v))
		}
	}
	add(o.Length > 0, "Length: %d", o.Length)
	add(o.Block > 0, "Block: %d", o.Block)
	add(o.TopP > 0, "Top-p: %g", o.TopP)
	add(o.TopK > 0, "Top-k: %d", o.TopK)
	add(o.Cache != "" && o.Cache != engine.CacheNone, "Cache: %s", o.Cache)
	names := make([]string, 0, len(o.Params))
	for n := range o.Params {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		parts = append(parts, fmt.Sprintf("%s: %g", n, o.Params[n]))
	}
	return strings.Join(parts, ", ")
}

func appendChunk(dst []byte, kind string, data []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(data)))
	at := len(dst)
	dst = append(append(dst, kind...), data...)
	return binary.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(dst[at:]))
}

// readPNG reads the run that a PNG carries. The finished picture is the PNG's own.
func readPNG(r io.Reader, path string) (*Run, error) {
	whole, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read run: %w", err)
	}
	if len(whole) > maxFile {
		return nil, bad(path, "", nil, "over %d bytes long", maxFile)
	}
	data, err := chunk(bytes.NewReader(whole), path)
	if err != nil {
		return nil, err
	}
	run, err := Read(bytes.NewReader(data), path)
	if err != nil || run.Finished == nil {
		return run, err
	}
	img, err := decode(path, "picture", whole)
	if err != nil {
		return run, err
	}
	run.Finished.Image = toNRGBA(img)
	return run, nil
}

// chunk returns the run chunk of a PNG.
func chunk(r io.Reader, path string) ([]byte, error) {
	if _, err := io.CopyN(io.Discard, r, int64(len(pngSignature))); err != nil {
		return nil, bad(path, "", err, "is no PNG")
	}
	var head [8]byte
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return nil, bad(path, "", err, "the PNG is cut off")
		}
		n, kind := binary.BigEndian.Uint32(head[:]), string(head[4:])
		switch {
		case kind == "IEND":
			return nil, bad(path, runChunk, nil, "this PNG carries no run")
		case n > maxFile:
			return nil, bad(path, kind, nil, "%d bytes long, at most %d are read", n, maxFile)
		case kind != runChunk:
			if _, err := io.CopyN(io.Discard, r, int64(n)+4); err != nil {
				return nil, bad(path, kind, err, "the PNG is cut off")
			}
			continue
		}
		// Read by growth, so that a length that lies allocates no more than the file has.
		data, err := io.ReadAll(io.LimitReader(r, int64(n)+4))
		if err != nil || len(data) < int(n)+4 {
			return nil, bad(path, kind, err, "%d bytes long, the PNG has %d more", n, len(data))
		}
		sum := crc32.ChecksumIEEE(append([]byte(kind), data[:n]...))
		if want := binary.BigEndian.Uint32(data[n:]); sum != want {
			return nil, bad(path, kind, nil, "checksum %08x, want %08x", sum, want)
		}
		return data[:n], nil
	}
}
