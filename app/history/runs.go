package history

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"os"
	"strings"
	"time"

	"unmask/app/history/column"
	"unmask/engine"
	"unmask/ui/state"
)

// Kinds of rows of the table pictures.
const (
	kindJob     = "job"     // Job.Image
	kindMask    = "mask"    // Job.Mask
	kindMessage = "message" // Messages[n].Image
	kindSource  = "source"  // Started.Source
	kindPreview = "preview" // after step n
	kindFinal   = "final"   // Finished.Image
)

// Runs implements [state.History].
func (h *DB) Runs(ctx context.Context, q state.RunQuery) ([]state.Run, error) {
	where := []string{"r.deleted = 0", "(s.deleted IS NULL OR s.deleted = 0)"}
	var args []any
	and := func(cond string, a ...any) {
		where = append(where, cond)
		args = append(args, a...)
	}
	if q.Session != "" {
		and("r.session = ?", q.Session)
	}
	if q.Group != "" {
		and("r.grp = ?", q.Group)
	}
	if len(q.Tasks) > 0 {
		var a []any
		for _, t := range q.Tasks {
			a = append(a, string(t))
		}
		and("r.task IN (?"+strings.Repeat(", ?", len(a)-1)+")", a...)
	}
	if q.Text != "" {
		and("instr(r.needle, ?)", fold(q.Text))
	}
	limit := -1
	if q.Limit > 0 {
		limit = q.Limit
	}
	rows, err := h.db.QueryContext(ctx, "SELECT "+runColumns+" FROM runs r LEFT JOIN sessions s ON s.id = r.session WHERE "+
		strings.Join(where, " AND ")+" ORDER BY r.created DESC, r.rowid DESC LIMIT ?", append(args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("history: list runs: %w", explain(err))
	}
	defer rows.Close()
	var out []state.Run
	for rows.Next() {
		r, err := scanRun(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("history: list runs: %w", explain(err))
		}
		out = append(out, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("history: list runs: %w", explain(err))
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out, nil
}

// runColumns are what [scanRun] reads.
const runColumns = "r.id, r.session, r.parent, r.grp, r.created, r.state, r.accepted, r.steps, r.elapsed, r.answer, r.think, r.message, r.job, r.stats, r.name"

func scanRun(scan func(...any) error, more ...any) (state.Run, error) {
	var r state.Run
	var created, elapsed int64
	var job, stats string
	dst := []any{&r.ID, &r.Session, &r.Parent, &r.Group, &created, &r.State, &r.Accepted, &r.Steps, &elapsed, &r.Text, &r.Think, &r.Message, &job, &stats, &r.Name}
	if err := scan(append(dst, more...)...); err != nil {
		return r, err
	}
	r.Created, r.Elapsed = fromNano(created), time.Duration(elapsed)
	if err := json.Unmarshal([]byte(job), &r.Job); err != nil {
		return r, fmt.Errorf("job of run %s: %w", r.ID, err)
	}
	if err := json.Unmarshal([]byte(stats), &r.Stats); err != nil {
		return r, fmt.Errorf("figures of run %s: %w", r.ID, err)
	}
	return r, nil
}

// StartRun implements [state.History].
func (h *DB) StartRun(ctx context.Context, r state.Run, started *engine.Started) error {
	doing := func(err error) error { return fmt.Errorf("history: keep run %s: %w", r.ID, err) }
	job, err := json.Marshal(started.Job)
	if err != nil {
		return doing(err)
	}
	first, err := column.Pack(started)
	if err != nil {
		return doing(err)
	}
	type picture struct {
		kind string
		n    int
		data []byte
	}
	var pictures []picture
	keep := func(kind string, n int, data []byte, e error) {
		if e != nil && err == nil {
			err = e
		}
		if data != nil {
			pictures = append(pictures, picture{kind, n, data})
		}
	}
	b, e := column.PackPicture(started.Job.Image)
	keep(kindJob, 0, b, e)
	b, e = column.PackMask(started.Job.Mask)
	keep(kindMask, 0, b, e)
	b, e = column.PackPicture(started.Source)
	keep(kindSource, 0, b, e)
	for i, m := range started.Job.Messages {
		b, e = column.PackPicture(m.Image)
		keep(kindMessage, i, b, e)
	}
	if err != nil {
		return doing(err)
	}
	err = h.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO runs (id, session, parent, grp, task, owner, created, state, elapsed, needle, job, started)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			r.ID, r.Session, r.Parent, r.Group, string(started.Job.Task), os.Getpid(), nano(r.Created), string(state.Running), int64(r.Elapsed),
			fold(state.Prompt(started.Job)), string(job), first)
		if err != nil {
			return err
		}
		for _, p := range pictures {
			if err := putPicture(ctx, tx, r.ID, p.kind, p.n, p.data); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return doing(err)
	}
	return nil
}

func putPicture(ctx context.Context, tx *sql.Tx, run, kind string, n int, data []byte) error {
	_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO pictures (run, kind, n, picture) VALUES (?, ?, ?, ?)", run, kind, n, data)
	return err
}

// AppendSteps implements [state.History].
func (h *DB) AppendSteps(ctx context.Context, run string, steps []engine.Step, previews []*engine.Preview) error {
	doing := func(err error) error { return fmt.Errorf("history: keep steps of run %s: %w", run, err) }
	var data []byte
	var spent time.Duration
	for _, s := range steps {
		spent += s.Forward + s.Select
	}
	if len(steps) > 0 {
		var err error
		if data, err = column.Pack(steps); err != nil {
			return doing(err)
		}
	}
	packed := make([][]byte, len(previews))
	for i, p := range previews {
		var err error
		if packed[i], err = column.PackPicture(p.Image); err != nil {
			return doing(err)
		}
	}
	err := h.write(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, "UPDATE runs SET steps = steps + ?, elapsed = elapsed + ? WHERE id = ?", len(steps), int64(spent), run)
		if err == nil {
			err = oneRow(r)
		}
		if err != nil {
			return err
		}
		if data != nil {
			if _, err := tx.ExecContext(ctx, "INSERT INTO steps (run, n, data) VALUES (?, ?, ?)", run, len(steps), data); err != nil {
				return err
			}
		}
		for i, p := range previews {
			if packed[i] == nil {
				continue
			}
			if err := putPicture(ctx, tx, run, kindPreview, p.Step, packed[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return doing(err)
	}
	return nil
}

// FinishRun implements [state.History].
func (h *DB) FinishRun(ctx context.Context, run string, st state.RunState, fin *engine.Finished, message string) error {
	doing := func(err error) error { return fmt.Errorf("history: keep the end of run %s: %w", run, err) }
	if fin == nil {
		return h.update(ctx, "keep the end of run "+run, "UPDATE runs SET state = ?, message = ? WHERE id = ?", string(st), message, run)
	}
	stats, err := json.Marshal(fin.Stats)
	if err != nil {
		return doing(err)
	}
	last, err := column.Pack(fin)
	if err != nil {
		return doing(err)
	}
	var img []byte
	if fin.Image != nil {
		if img, err = column.PackPicture(fin.Image); err != nil {
			return doing(err)
		}
	}
	err = h.write(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `UPDATE runs SET state = ?1, message = ?2, answer = ?3, think = ?4, stats = ?5, finished = ?6,
			elapsed = CASE WHEN ?7 > 0 THEN ?7 ELSE elapsed END, needle = needle || char(10) || ?8 WHERE id = ?9`,
			string(st), message, fin.Text, fin.Think, string(stats), last, int64(fin.Stats.Wall), fold(fin.Text), run)
		if err == nil {
			err = oneRow(r)
		}
		if err == nil && img != nil {
			err = putPicture(ctx, tx, run, kindFinal, 0, img)
		}
		return err
	})
	if err != nil {
		return doing(err)
	}
	return nil
}

// DeleteRun implements [state.History].
func (h *DB) DeleteRun(ctx context.Context, run string) error {
	return h.update(ctx, "delete run "+run, "UPDATE runs SET deleted = ? WHERE id = ?", nano(h.now()), run)
}

// RestoreRun implements [state.History].
func (h *DB) RestoreRun(ctx context.Context, run string) error {
	return h.update(ctx, "restore run "+run, "UPDATE runs SET deleted = 0 WHERE id = ?", run)
}

// SetAccepted implements [state.History].
func (h *DB) SetAccepted(ctx context.Context, run string, accepted bool) error {
	return h.update(ctx, "mark run "+run, "UPDATE runs SET accepted = ? WHERE id = ?", accepted, run)
}

// SetName implements [state.History].
func (h *DB) SetName(ctx context.Context, run, name string) error {
	return h.update(ctx, "name run "+run, "UPDATE runs SET name = ? WHERE id = ?", name, run)
}

// Picture implements [state.History].
func (h *DB) Picture(ctx context.Context, run string) (image.Image, error) {
	var b []byte
	err := h.db.QueryRowContext(ctx, `SELECT picture FROM pictures WHERE run = ?1 AND kind IN (?2, ?3) ORDER BY kind = ?2 DESC, n DESC LIMIT 1`,
		run, kindFinal, kindPreview).Scan(&b)
	if errors.Is(err, sql.ErrNoRows) {
		err = state.ErrNotFound
	}
	var img *image.NRGBA
	if err == nil {
		img, err = column.UnpackPicture(b)
	}
	if err != nil {
		return nil, fmt.Errorf("history: picture of run %s: %w", run, explain(err))
	}
	return img, nil
}
