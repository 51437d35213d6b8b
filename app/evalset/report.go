package evalset

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"unmask/engine"
)

// Report is the outcome of an evaluation.
type Report struct {
	Model      string       `json:"model"`
	Hash       string       `json:"hash"`
	Params     int64        `json:"params"`
	DType      string       `json:"dtype"`
	Device     string       `json:"device"`
	Seed       uint64       `json:"seed"`
	N          int          `json:"n"` // items a task asked for
	BitsAToken int          `json:"bits_a_token,omitempty"`
	Tasks      []TaskReport `json:"tasks"`
}

// TaskReport is a task's part of a report.
type TaskReport struct {
	Task     string    `json:"task"`
	Title    string    `json:"title"`
	Items    int       `json:"items"`
	HeldOut  int       `json:"held_out"` // items of which something was kept from training
	Skipped  string    `json:"skipped,omitempty"`
	Figures  []Figure  `json:"figures"`
	Kinds    []Figure  `json:"kinds"` // the first figure by kind of item
	NFE      int       `json:"nfe"`
	Tokens   int       `json:"tokens"`
	Seconds  float64   `json:"seconds"` // in runs
	Wall     float64   `json:"wall"`    // with rendering and judging
	Mistakes []Mistake `json:"mistakes,omitempty"`
}

// Figure is one number with its 95 % interval: a share, or decibels.
type Figure struct {
	Name  string  `json:"name"`
	Title string  `json:"title"`
	Hits  int     `json:"hits"`
	Of    int     `json:"of"`
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Bar   float64 `json:"bar,omitempty"` // 0: none
	Meets bool    `json:"meets"`         // the value reaches the bar
}

// Mistake is an item that was not wholly right.
type Mistake struct {
	ID     string `json:"id"`
	Kind   string `json:"kind"`
	Prompt string `json:"prompt"`
	Want   string `json:"want"`
	Got    string `json:"got"`
}

// maxMistakes is how many mistakes a task keeps.
const maxMistakes = 24

// TokensPerSecond is the rate of a task's runs, or 0.
func (t *TaskReport) TokensPerSecond() float64 {
	if t.Seconds <= 0 {
		return 0
	}
	return float64(t.Tokens) / t.Seconds
}

// sum adds up the outcomes of a task.
type sum struct {
	task   Task
	row    TaskReport
	hits   map[string]*Mark
	values map[string][]float64
	kinds  map[string]*Mark
	wall   time.Duration
}

func newSum(t Task) *sum {
	return &sum{task: t, row: TaskReport{Task: t.Name, Title: t.Title, Figures: []Figure{}, Kinds: []Figure{}}, hits: map[string]*Mark{}, values: map[string][]float64{}, kinds: map[string]*Mark{}}
}

// into adds mark m to the one of name.
func into(all map[string]*Mark, name string, m Mark) {
	if all[name] == nil {
		all[name] = &Mark{Metric: name}
	}
	all[name].Hits += m.Hits
	all[name].Of += m.Of
}

func (s *sum) add(o Outcome, st engine.Stats) {
	s.row.Items++
	if o.Item.Held != "" {
		s.row.HeldOut++
	}
	s.row.NFE += st.NFE
	s.row.Tokens += st.Tokens
	s.wall += st.Wall
	for i, m := range o.Marks {
		if o.Item.Rule == "rebuild" {
			s.values[m.Metric] = append(s.values[m.Metric], m.Value)
			continue
		}
		into(s.hits, m.Metric, m)
		if i == 0 {
			into(s.kinds, o.Item.Kind, m)
		}
	}
	if !o.right() && len(s.row.Mistakes) < maxMistakes {
		s.row.Mistakes = append(s.row.Mistakes, mistake(o))
	}
}

// mistake says what was wanted and what came.
func mistake(o Outcome) Mistake {
	m := Mistake{ID: o.Item.ID, Kind: o.Item.Kind, Prompt: o.Item.Prompt, Want: o.Item.Want, Got: o.Answer.Text}
	if o.Answer.Think != "" {
		m.Got = "<think>" + o.Answer.Think + "</think>" + m.Got
	}
	if o.Answer.Saw != nil {
		m.Want = strings.TrimSpace(m.Want + " " + o.Item.Scene.String())
		m.Got = strings.TrimSpace(m.Got + " " + o.Answer.Saw.String())
	} else if o.Item.Scene != nil {
		m.Want += " " + o.Item.Scene.String()
	}
	return m
}

// String is a scene in short, for lists of mistakes: "[beside: cat, dog; blue]".
func (s Scene) String() string {
	return "[" + s.Layout + ": " + strings.Join(s.Names, ", ") + "; " + s.Background + "]"
}

// figure is a mark as a share.
func figure(m *Mark) Figure {
	f := Figure{Name: m.Metric, Title: m.Metric, Hits: m.Hits, Of: m.Of}
	if m.Of > 0 {
		f.Value = float64(m.Hits) / float64(m.Of)
	}
	f.Low, f.High = Wilson(m.Hits, m.Of)
	return f
}

func (s *sum) finish(wall time.Duration) TaskReport {
	for _, b := range s.task.Bars {
		var f Figure
		switch {
		case s.hits[b.Metric] != nil:
			f = figure(s.hits[b.Metric])
		case len(s.values[b.Metric]) > 0:
			f = Figure{Name: b.Metric, Of: len(s.values[b.Metric])}
			f.Value, f.Low, f.High = mean(s.values[b.Metric])
		default:
			continue
		}
		f.Title, f.Bar = b.Title, b.Least
		f.Meets = f.Value >= b.Least
		s.row.Figures = append(s.row.Figures, f)
	}
	for _, k := range slices.Sorted(maps.Keys(s.kinds)) {
		s.row.Kinds = append(s.row.Kinds, figure(s.kinds[k]))
	}
	s.row.Seconds, s.row.Wall = s.wall.Seconds(), wall.Seconds()
	return s.row
}

// decibelsFrom is the value above which a figure is no share.
const decibelsFrom = 1.5

// text is a value of a figure for people.
func (f *Figure) text(v float64) string {
	if f.Value > decibelsFrom || f.Bar > decibelsFrom {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.1f %%", 100*v)
}

// WriteText writes the table of scores.
func (r *Report) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "%s, %.1f M parameters, %s on %s; %d items a task, seed %d\n\n", r.Model, float64(r.Params)/1e6, r.DType, r.Device, r.N, r.Seed)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "task\tfigure\tscore\t95 % interval\tbar\t\titems\tpasses an item\ttokens/s")
	for i := range r.Tasks {
		t := &r.Tasks[i]
		if t.Skipped != "" || t.Items == 0 {
			fmt.Fprintf(tw, "%s\tskipped: %s\t\t\t\t\t\t\t\n", t.Task, orElse(t.Skipped, "the world has no items for it"))
			continue
		}
		for k := range t.Figures {
			f := &t.Figures[k]
			bar, verdict := "", ""
			if f.Bar > 0 {
				bar, verdict = f.text(f.Bar), map[bool]string{true: "yes", false: "no"}[f.Meets]
			}
			name, tail := t.Task, fmt.Sprintf("%d\t%.1f\t%.0f", t.Items, float64(t.NFE)/float64(t.Items), t.TokensPerSecond())
			if k > 0 {
				name, tail = "", "\t\t"
			}
			fmt.Fprintf(tw, "%s\t%s\t%s\t%s to %s\t%s\t%s\t%s\n", name, f.Title, f.text(f.Value), f.text(f.Low), f.text(f.High), bar, verdict, tail)
		}
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if r.BitsAToken > 0 {
		fmt.Fprintf(w, "\npictures: %d bits a token\n", r.BitsAToken)
	}
	met, of := r.Met()
	_, err := fmt.Fprintf(w, "%d of %d bars are met\n", met, of)
	return err
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// Met counts the bars that are met.
func (r *Report) Met() (met, of int) {
	for _, t := range r.Tasks {
		for _, f := range t.Figures {
			if f.Bar > 0 {
				of++
				if f.Meets {
					met++
				}
			}
		}
	}
	return met, of
}

// WriteMistakes lists what was not right, by task.
func (r *Report) WriteMistakes(w io.Writer) error {
	for _, t := range r.Tasks {
		if len(t.Mistakes) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n%s\n", t.Task)
		for _, k := range t.Kinds {
			fmt.Fprintf(w, "  %s %d of %d\n", k.Name, k.Hits, k.Of)
		}
		for _, m := range t.Mistakes {
			if _, err := fmt.Fprintf(w, "  %s %q\n    want %q\n    got  %q\n", m.ID, m.Prompt, m.Want, m.Got); err != nil {
				return err
			}
		}
	}
	return nil
}
