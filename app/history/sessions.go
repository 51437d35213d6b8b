package history

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"strings"
	"time"

	"unmask/app/history/column"
	"unmask/ui/state"
)

// fold is what a search compares: lower case, by Unicode's rules.
func fold(s string) string { return strings.ToLower(s) }

// Sessions implements [state.History].
func (h *DB) Sessions(ctx context.Context, pane state.Pane, query string) ([]state.Session, error) {
	rows, err := h.db.QueryContext(ctx, `
		SELECT id, pane, title, created, updated, (SELECT count(*) FROM runs WHERE session = s.id AND deleted = 0)
		FROM sessions s
		WHERE deleted = 0 AND (?1 = '' OR pane = ?1) AND (?2 = '' OR instr(needle, ?2)
			OR EXISTS (SELECT 1 FROM runs WHERE session = s.id AND deleted = 0 AND instr(needle, ?2)))
		ORDER BY updated DESC, id`, string(pane), fold(query))
	if err != nil {
		return nil, fmt.Errorf("history: list sessions: %w", explain(err))
	}
	defer rows.Close()
	var out []state.Session
	for rows.Next() {
		var s state.Session
		var created, updated int64
		if err := rows.Scan(&s.ID, &s.Pane, &s.Title, &created, &updated, &s.Runs); err != nil {
			return nil, fmt.Errorf("history: list sessions: %w", explain(err))
		}
		s.Created, s.Updated = fromNano(created), fromNano(updated)
		out = append(out, s)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("history: list sessions: %w", explain(err))
	}
	return out, nil
}

// nano is t for a column; the zero time is 0.
func nano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNano(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}

// PutSession implements [state.History].
func (h *DB) PutSession(ctx context.Context, s state.Session) error {
	_, err := h.db.ExecContext(ctx, `
		INSERT INTO sessions (id, pane, title, needle, created, updated) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
		ON CONFLICT (id) DO UPDATE SET pane = ?2, title = ?3, needle = ?4, created = ?5, updated = ?6`,
		s.ID, string(s.Pane), s.Title, fold(s.Title), nano(s.Created), nano(s.Updated))
	if err != nil {
		return fmt.Errorf("history: keep session %q: %w", s.Title, explain(err))
	}
	return nil
}

// DeleteSession implements [state.History].
func (h *DB) DeleteSession(ctx context.Context, id string) error {
	return h.update(ctx, "delete session "+id, "UPDATE sessions SET deleted = ? WHERE id = ?", nano(h.now()), id)
}

// RestoreSession implements [state.History].
func (h *DB) RestoreSession(ctx context.Context, id string) error {
	return h.update(ctx, "restore session "+id, "UPDATE sessions SET deleted = 0 WHERE id = ?", id)
}

// update runs a statement that must change one row.
func (h *DB) update(ctx context.Context, doing, query string, args ...any) error {
	r, err := h.db.ExecContext(ctx, query, args...)
	if err == nil {
		err = oneRow(r)
	}
	if err != nil {
		return fmt.Errorf("history: %s: %w", doing, explain(err))
	}
	return nil
}

func oneRow(r sql.Result) error {
	n, err := r.RowsAffected()
	if err == nil && n == 0 {
		err = state.ErrNotFound
	}
	return err
}

// Draft implements [state.History].
func (h *DB) Draft(ctx context.Context, session string) (state.Draft, error) {
	var d state.Draft
	var text sql.NullString
	var picture, mask []byte
	err := h.db.QueryRowContext(ctx, `SELECT d.text, d.picture, d.mask FROM sessions s LEFT JOIN drafts d ON d.session = s.id WHERE s.id = ?`, session).Scan(&text, &picture, &mask)
	if errors.Is(err, sql.ErrNoRows) {
		err = state.ErrNotFound
	}
	if err == nil && text.Valid {
		err = json.Unmarshal([]byte(text.String), &d)
	}
	if err == nil {
		var img *image.NRGBA
		if img, err = column.UnpackPicture(picture); img != nil {
			d.Picture = img
		}
	}
	if err == nil {
		d.Mask, err = column.UnpackMask(mask)
	}
	if err != nil {
		return state.Draft{}, fmt.Errorf("history: draft of session %s: %w", session, explain(err))
	}
	return d, nil
}

// PutDraftText implements [state.History].
func (h *DB) PutDraftText(ctx context.Context, session string, d state.Draft) error {
	b, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("history: draft of session %s: %w", session, err)
	}
	return h.putDraft(ctx, session, "text", string(b))
}

// PutDraftPicture implements [state.History].
func (h *DB) PutDraftPicture(ctx context.Context, session string, img image.Image) error {
	b, err := column.PackPicture(img)
	if err != nil {
		return fmt.Errorf("history: draft picture of session %s: %w", session, err)
	}
	return h.putDraft(ctx, session, "picture", b)
}

// PutDraftMask implements [state.History].
func (h *DB) PutDraftMask(ctx context.Context, session string, mask *image.Alpha) error {
	b, err := column.PackMask(mask)
	if err != nil {
		return fmt.Errorf("history: draft mask of session %s: %w", session, err)
	}
	return h.putDraft(ctx, session, "mask", b)
}

// putDraft sets one column of a session's draft. column is one of ours, never input.
func (h *DB) putDraft(ctx context.Context, session, column string, v any) error {
	return h.update(ctx, "keep the draft of session "+session, fmt.Sprintf(`
		INSERT INTO drafts (session, %[1]s) SELECT id, ?2 FROM sessions WHERE id = ?1
		ON CONFLICT (session) DO UPDATE SET %[1]s = ?2`, column), session, v)
}

// Value implements [state.History].
func (h *DB) Value(ctx context.Context, name string) ([]byte, error) {
	var b []byte
	err := h.db.QueryRowContext(ctx, "SELECT value FROM settings WHERE name = ?", name).Scan(&b)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("history: setting %q: %w", name, explain(err))
	}
	return b, nil
}

// PutValue implements [state.History].
func (h *DB) PutValue(ctx context.Context, name string, value []byte) error {
	return h.update(ctx, fmt.Sprintf("keep setting %q", name),
		"INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2", name, append([]byte{}, value...))
}
