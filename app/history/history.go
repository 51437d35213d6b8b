// Package history keeps sessions, runs, pictures, masks and settings in one SQLite file: the [state.History] of the
// running program. Every method that returns nil has committed its transaction, so a process killed afterwards loses
// nothing; docs/decisions say why SQLite and why this driver.
package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"unmask/ui/state"
)

// FileName is the name of the database in the data folder.
const FileName = "history.db"

// keepHidden is how long a deleted session or run can be restored after the program that deleted it ended.
const keepHidden = 24 * time.Hour

// DB is a [state.History] on disk. All methods may be called from any goroutine.
type DB struct {
	db     *sql.DB
	path   string // "" in memory
	notice string
	now    func() time.Time
}

var _ state.History = (*DB)(nil)

// Open opens the history in the folder dir and creates both when missing. A file that is damaged, or is no database, is
// moved aside and a new one is started; [DB.Notice] then says so. A file of a newer program is refused and not touched.
// Runs whose process is gone become [state.Interrupted]. It blocks while it checks the file.
func Open(ctx context.Context, dir string, log *slog.Logger) (*DB, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	path := filepath.Join(dir, FileName)
	h, err := openFile(ctx, path)
	if err == nil {
		return h, nil
	}
	if !damaged(err) {
		return nil, fmt.Errorf("history: %s: %w", path, err)
	}
	aside, merr := moveAside(path, time.Now())
	if merr != nil {
		return nil, fmt.Errorf("history: %s is damaged (%w) and could not be moved aside: %w", path, err, merr)
	}
	log.Warn("history was damaged and is moved aside", "err", err, "file", aside)
	if h, err = openFile(ctx, path); err != nil {
		return nil, fmt.Errorf("history: %s: %w", path, err)
	}
	h.notice = fmt.Sprintf("The history could not be read. It was moved to %s and a new one was started.", aside)
	return h, nil
}

// OpenMemory returns a history that nothing of is kept: the way on when [Open] failed. reason goes into the notice.
func OpenMemory(ctx context.Context, reason error) (*DB, error) {
	h, err := openFile(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	h.notice = fmt.Sprintf("Nothing will be kept after the program ends: %v.", reason)
	return h, nil
}

// Notice is a sentence for the person about what happened when the history was opened; usually "".
func (h *DB) Notice() string { return h.notice }

// Path is the database file; "" in memory.
func (h *DB) Path() string { return h.path }

// Close waits for writes under way.
func (h *DB) Close() error {
	if err := h.db.Close(); err != nil {
		return fmt.Errorf("history: close: %w", err)
	}
	return nil
}

// openFile opens, checks, migrates and tidies one database.
func openFile(ctx context.Context, path string) (*DB, error) {
	db, err := sql.Open("sqlite", dataSource(path))
	if err != nil {
		return nil, err
	}
	if path == "" {
		db.SetMaxOpenConns(1) // every connection to ":memory:" is a database of its own
	} else {
		db.SetMaxOpenConns(4)
	}
	h := &DB{db: db, path: path, now: time.Now}
	for _, step := range []func(context.Context) error{h.check, h.migrate, h.tidy} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	return h, nil
}

// dataSource is the driver's name of a database file. Write transactions take the lock at their start, so two windows
// wait for each other instead of failing half way.
func dataSource(path string) string {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)"}}
	if path == "" {
		return "file::memory:?" + q.Encode()
	}
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/...
	}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
}

// errDamaged marks a file whose pages contradict each other.
var errDamaged = errors.New("the database is damaged")

// damaged reports whether err says that the file's content, not its place or its rights, is wrong.
func damaged(err error) bool {
	var e *sqlite.Error
	if errors.As(err, &e) {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			return true
		}
	}
	return errors.Is(err, errDamaged)
}

// check reads the whole structure of the file once.
func (h *DB) check(ctx context.Context) error {
	var s string
	if err := h.db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&s); err != nil {
		return err
	}
	if s != "ok" {
		return fmt.Errorf("%w: %s", errDamaged, s)
	}
	return nil
}

// migrate brings the schema up to date, one transaction a version.
func (h *DB) migrate(ctx context.Context) error {
	var v int
	if err := h.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&v); err != nil {
		return err
	}
	if v > len(migrations) {
		return fmt.Errorf("was made by a newer version of this program (schema %d, this one knows %d)", v, len(migrations))
	}
	for ; v < len(migrations); v++ {
		err := h.write(ctx, func(tx *sql.Tx) error {
			var now int // another process may have done it meanwhile
			if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&now); err != nil || now > v {
				return err
			}
			if _, err := tx.ExecContext(ctx, migrations[v]); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", v+1))
			return err
		})
		if err != nil {
			return fmt.Errorf("schema %d: %w", v+1, err)
		}
	}
	return nil
}

// tidy marks runs of dead processes and removes what was deleted long ago.
func (h *DB) tidy(ctx context.Context) error {
	return h.write(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, "SELECT DISTINCT owner FROM runs WHERE state = ?", state.Running)
		if err != nil {
			return err
		}
		var owners []int
		for rows.Next() {
			var pid int
			if err := rows.Scan(&pid); err != nil {
				return errors.Join(err, rows.Close())
			}
			owners = append(owners, pid)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
		for _, pid := range owners {
			if pid != os.Getpid() && alive(pid) {
				continue // a second window of this program is making that run now
			}
			if _, err := tx.ExecContext(ctx, "UPDATE runs SET state = ? WHERE state = ? AND owner = ?", state.Interrupted, state.Running, pid); err != nil {
				return err
			}
		}
		old := h.now().Add(-keepHidden).UnixNano()
		for _, q := range purge {
			if _, err := tx.ExecContext(ctx, q, old); err != nil {
				return err
			}
		}
		return nil
	})
}

// write runs f in one transaction.
func (h *DB) write(ctx context.Context, f func(tx *sql.Tx) error) error {
	tx, err := h.db.BeginTx(ctx, nil)
	if err != nil {
		return explain(err)
	}
	if err := f(tx); err != nil {
		return errors.Join(explain(err), ignoreDone(tx.Rollback()))
	}
	return explain(tx.Commit())
}

// ignoreDone drops the error of a rollback after the driver has rolled back by itself, as it does on a full disk.
func ignoreDone(err error) error {
	var e *sqlite.Error
	if errors.Is(err, sql.ErrTxDone) || errors.As(err, &e) {
		return nil
	}
	return err
}

// explain puts words to the driver's errors that a person can act on.
func explain(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("the disk is full: %w", err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("another program holds the history: %w", err)
	case sqlite3.SQLITE_READONLY:
		return fmt.Errorf("the history cannot be written: %w", err)
	}
	return err
}

// moveAside renames the database and its journals and returns the new name.
func moveAside(path string, now time.Time) (string, error) {
	base := strings.TrimSuffix(path, filepath.Ext(path)) + "-damaged-" + now.Format("20060102-150405")
	aside := base + ".db"
	for i := 2; ; i++ {
		if _, err := os.Lstat(aside); errors.Is(err, os.ErrNotExist) {
			break
		}
		aside = fmt.Sprintf("%s-%d.db", base, i)
	}
	if err := os.Rename(path, aside); err != nil {
		return "", err
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Rename(path+suffix, aside+suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
	}
	return aside, nil
}
