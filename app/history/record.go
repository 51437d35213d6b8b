package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"unmask/app/history/column"
	"unmask/engine"
	"unmask/ui/state"
)

// Record implements [state.History].
func (h *DB) Record(ctx context.Context, run string) (state.Record, error) {
	var rec state.Record
	tx, err := h.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}) // steps may be added meanwhile: read one moment
	if err == nil {
		rec, err = readRecord(ctx, tx, run)
		err = errors.Join(err, ignoreDone(tx.Rollback()))
	}
	if err != nil {
		return state.Record{}, fmt.Errorf("history: run %s: %w", run, explain(err))
	}
	return rec, nil
}

func readRecord(ctx context.Context, tx *sql.Tx, run string) (state.Record, error) {
	var rec state.Record
	var started, finished []byte
	row := tx.QueryRowContext(ctx, "SELECT "+runColumns+", r.started, r.finished FROM runs r WHERE r.id = ?", run)
	r, err := scanRun(row.Scan, &started, &finished)
	if errors.Is(err, sql.ErrNoRows) {
		err = state.ErrNotFound
	}
	if err != nil {
		return rec, err
	}
	rec.Run, rec.Started = r, &engine.Started{}
	if err := column.Unpack(started, rec.Started); err != nil {
		return rec, fmt.Errorf("first event: %w", err)
	}
	if finished != nil {
		rec.Finished = &engine.Finished{}
		if err := column.Unpack(finished, rec.Finished); err != nil {
			return rec, fmt.Errorf("last event: %w", err)
		}
	}
	if err := readSteps(ctx, tx, run, &rec); err != nil {
		return rec, err
	}
	if err := readPictures(ctx, tx, run, &rec); err != nil {
		return rec, err
	}
	rec.Run.Job = rec.Started.Job
	return rec, nil
}

func readSteps(ctx context.Context, tx *sql.Tx, run string, rec *state.Record) error {
	rows, err := tx.QueryContext(ctx, "SELECT data FROM steps WHERE run = ? ORDER BY seq", run)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var b []byte
		var steps []engine.Step
		if err := rows.Scan(&b); err != nil {
			return err
		}
		if err := column.Unpack(b, &steps); err != nil {
			return fmt.Errorf("steps: %w", err)
		}
		rec.Steps = append(rec.Steps, steps...)
	}
	return rows.Err()
}

func readPictures(ctx context.Context, tx *sql.Tx, run string, rec *state.Record) error {
	rows, err := tx.QueryContext(ctx, "SELECT kind, n, picture FROM pictures WHERE run = ? ORDER BY kind, n", run)
	if err != nil {
		return err
	}
	defer rows.Close()
	job := &rec.Started.Job
	for rows.Next() {
		var kind string
		var n int
		var b []byte
		if err := rows.Scan(&kind, &n, &b); err != nil {
			return err
		}
		if kind == kindMask {
			if job.Mask, err = column.UnpackMask(b); err != nil {
				return err
			}
			continue
		}
		img, err := column.UnpackPicture(b)
		if err != nil {
			return fmt.Errorf("%s %d: %w", kind, n, err)
		}
		switch {
		case img == nil:
		case kind == kindJob:
			job.Image = img
		case kind == kindSource:
			rec.Started.Source = img
		case kind == kindMessage && n >= 0 && n < len(job.Messages):
			job.Messages[n].Image = img
		case kind == kindPreview:
			rec.Previews = append(rec.Previews, &engine.Preview{Step: n, Image: img})
		case kind == kindFinal && rec.Finished != nil:
			rec.Finished.Image = img
		}
	}
	return rows.Err()
}
