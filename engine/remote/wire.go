package remote

import (
	"encoding/json"
	"fmt"
	"image"

	"unmask/engine"
)

// hello is the first frame of both sides. Its form is the same in every version.
type hello struct {
	Version int    `json:"version"`
	Program string `json:"program"`
}

// Info is what a worker says about itself and its machine.
type Info struct {
	Program string `json:"program"` // name and version
	Host    string `json:"host"`
	System  string `json:"system"` // "linux/amd64"
	Process int    `json:"process"`
	Device  string `json:"device"`  // "cpu", "cuda"
	Name    string `json:"name"`    // of the device, for people
	Kernels string `json:"kernels"` // kernel set
	Threads int    `json:"threads"`
	Memory  int64  `json:"memory"` // bytes free for models; 0: unknown
}

type progressWire struct {
	Done  int64 `json:"done"`
	Total int64 `json:"total"`
}

// Texts cross as bytes, because a token's text need not be UTF-8 and JSON would change it.

type messageWire struct {
	Role string `json:"role"`
	Text []byte `json:"text"`
}

type jobWire struct {
	engine.Job
	Messages []messageWire `json:"messages"`
	Pictures []picture     `json:"pictures,omitempty"`
}

type startedWire struct {
	engine.Started
	Job      jobWire   `json:"job"`
	Texts    [][]byte  `json:"texts"`
	Pictures []picture `json:"pictures,omitempty"`
}

type previewWire struct {
	Step     int       `json:"step"`
	Pictures []picture `json:"pictures"`
}

type finishedWire struct {
	engine.Finished
	Text     []byte    `json:"text"`
	Think    []byte    `json:"think"`
	Pictures []picture `json:"pictures,omitempty"`
}

// prepared returns job with pictures in the form that the engine gives them, and those pictures.
func prepared(job engine.Job) (engine.Job, []image.Image, error) {
	var all []image.Image
	take := func(item string, img image.Image) (*image.NRGBA, error) {
		if err := checkSize(item, img.Bounds()); err != nil {
			return nil, err
		}
		n := flat(img)
		all = append(all, n)
		return n, nil
	}
	job.Messages = append([]engine.Message(nil), job.Messages...)
	for i := range job.Messages {
		if job.Messages[i].Image == nil {
			continue
		}
		n, err := take("picture", job.Messages[i].Image)
		if err != nil {
			return job, nil, err
		}
		job.Messages[i].Image = n
	}
	if job.Image != nil {
		n, err := take("picture", job.Image)
		if err != nil {
			return job, nil, err
		}
		job.Image = n
	}
	if job.Mask != nil {
		all = append(all, job.Mask)
	}
	return job, all, nil
}

// wireJob is the form of job in a frame; its pictures are added to p. Pictures are *image.NRGBA, see [prepared].
func wireJob(job engine.Job, p *pictures) (jobWire, error) {
	w := jobWire{Job: job}
	for i, m := range job.Messages {
		w.Messages = append(w.Messages, messageWire{m.Role, []byte(m.Text)})
		if m.Image != nil {
			if err := p.add("picture", picture{Role: roleMessage, Index: i}, m.Image); err != nil {
				return w, err
			}
		}
	}
	if job.Image != nil {
		if err := p.add("picture", picture{Role: roleImage}, job.Image); err != nil {
			return w, err
		}
	}
	if job.Mask != nil {
		if err := p.add("mask", picture{Role: roleMask}, job.Mask); err != nil {
			return w, err
		}
	}
	return w, nil
}

// job is the job without its pictures.
func (w *jobWire) job() engine.Job {
	j := w.Job
	j.Messages = nil
	for _, m := range w.Messages {
		j.Messages = append(j.Messages, engine.Message{Role: m.Role, Text: string(m.Text)})
	}
	return j
}

// attach puts a picture in its place in j.
func attach(j *engine.Job, p picture, img image.Image) error {
	n, isPixels := img.(*image.NRGBA)
	m, isMask := img.(*image.Alpha)
	switch {
	case p.Role == roleImage && isPixels:
		j.Image = n
	case p.Role == roleMask && isMask:
		j.Mask = m
	case p.Role == roleMessage && isPixels && p.Index >= 0 && p.Index < len(j.Messages):
		j.Messages[p.Index].Image = n
	default:
		return bad("picture", "role %.20q, message %d of %d, type %T do not go together", p.Role, p.Index, len(j.Messages), img)
	}
	return nil
}

// sendRun sends a job as the request call.
func sendRun(w *writer, call uint32, job engine.Job) error {
	var p pictures
	jw, err := wireJob(job, &p)
	if err != nil {
		return err
	}
	jw.Pictures = p.List
	meta, err := json.Marshal(jw)
	if err != nil { // a setting that is no number
		return &engine.InputError{Item: "job", Reason: err.Error()}
	}
	return w.send(kindRun, call, meta, p.parts...)
}

// parseRun is the job of a run frame and its pictures in the order of [prepared].
func parseRun(f frame) (engine.Job, []image.Image, error) {
	var w jobWire
	if err := parse(f.meta, &w); err != nil {
		return engine.Job{}, nil, err
	}
	j := w.job()
	var all []image.Image
	err := unpack(w.Pictures, f.blob, nil, func(p picture, img image.Image) error {
		all = append(all, img)
		return attach(&j, p, img)
	})
	return j, all, err
}

// sendEvent sends an event of the run call. known are the pictures of its job.
func sendEvent(w *writer, call uint32, ev engine.Event, known []image.Image) error {
	p := pictures{known: known}
	var k kind
	var v any
	switch ev := ev.(type) {
	case engine.Step:
		return w.send(kindStep, call, appendStep(nil, ev))
	case *engine.Started:
		jw, err := wireJob(ev.Job, &p)
		if err != nil {
			return err
		}
		if ev.Source != nil {
			if err := p.add("source", picture{Role: roleSource}, flat(ev.Source)); err != nil {
				return err
			}
		}
		sw := startedWire{Started: *ev, Job: jw, Pictures: p.List}
		for _, t := range ev.Texts {
			sw.Texts = append(sw.Texts, []byte(t))
		}
		k, v = kindStarted, sw
	case *engine.Preview:
		if err := p.add("preview", picture{Role: rolePreview}, ev.Image); err != nil {
			return err
		}
		k, v = kindPreview, previewWire{ev.Step, p.List}
	case *engine.Finished:
		if ev.Image != nil {
			if err := p.add("picture", picture{Role: roleFinished}, ev.Image); err != nil {
				return err
			}
		}
		k, v = kindFinished, finishedWire{*ev, []byte(ev.Text), []byte(ev.Think), p.List}
	default:
		return fmt.Errorf("event %T is unknown", ev)
	}
	meta, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.send(k, call, meta, p.parts...)
}

// parseEvent is the event of a frame. It is not compared with the events before it.
func parseEvent(f frame, known []image.Image) (engine.Event, error) {
	switch f.kind {
	case kindStep:
		s, err := parseStep(f.meta)
		return s, err
	case kindStarted:
		return parseStarted(f, known)
	case kindPreview:
		var w previewWire
		if err := parse(f.meta, &w); err != nil {
			return nil, err
		}
		ev := &engine.Preview{Step: w.Step}
		var err error
		if ev.Image, err = only(w.Pictures, f.blob, rolePreview); err == nil && ev.Image == nil {
			err = bad("preview", "has no picture")
		}
		return ev, err
	case kindFinished:
		var w finishedWire
		if err := parse(f.meta, &w); err != nil {
			return nil, err
		}
		ev := w.Finished
		ev.Text, ev.Think = string(w.Text), string(w.Think)
		var err error
		ev.Image, err = only(w.Pictures, f.blob, roleFinished)
		return &ev, err
	}
	return nil, bad("frame", "kind %d is no event", f.kind)
}

func parseStarted(f frame, known []image.Image) (engine.Event, error) {
	var w startedWire
	if err := parse(f.meta, &w); err != nil {
		return nil, err
	}
	ev := w.Started
	ev.Job, ev.Texts = w.Job.job(), nil
	for _, t := range w.Texts {
		ev.Texts = append(ev.Texts, string(t))
	}
	err := unpack(w.Pictures, f.blob, known, func(p picture, img image.Image) error {
		if n, ok := img.(*image.NRGBA); ok && p.Role == roleSource {
			ev.Source = n
			return nil
		}
		return attach(&ev.Job, p, img)
	})
	return &ev, err
}

// only is the one picture of a frame, nil where there is none.
func only(list []picture, blob []byte, role string) (*image.NRGBA, error) {
	var out *image.NRGBA
	err := unpack(list, blob, nil, func(p picture, img image.Image) error {
		n, ok := img.(*image.NRGBA)
		if !ok || p.Role != role || out != nil {
			return bad("picture", "role %.20q, want one of role %q", p.Role, role)
		}
		out = n
		return nil
	})
	return out, err
}

// parse reads the JSON of a frame.
func parse(meta []byte, v any) error {
	if err := json.Unmarshal(meta, v); err != nil {
		return &engine.FormatError{Format: "worker protocol", Path: "stream", Item: "meta", Reason: "is not the JSON that its kind has", Err: err}
	}
	return nil
}
