package history

// migrations are the schema's versions in order; PRAGMA user_version counts those applied. A row is never changed after
// a release: a change of the schema is a new row.
//
// Times are nanoseconds since 1970 UTC. deleted is 0 or the time of deletion. A picture column holds what [column.PackPicture]
// makes. needle is the lower-case text that a search looks in.
var migrations = []string{`
CREATE TABLE sessions (
	id      TEXT PRIMARY KEY,
	pane    TEXT NOT NULL,
	title   TEXT NOT NULL,
	needle  TEXT NOT NULL,
	created INTEGER NOT NULL,
	updated INTEGER NOT NULL,
	deleted INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX sessions_updated ON sessions (updated);

CREATE TABLE drafts (
	session TEXT PRIMARY KEY,
	text    TEXT,
	picture BLOB,
	mask    BLOB
) STRICT;

CREATE TABLE runs (
	id       TEXT PRIMARY KEY,
	session  TEXT NOT NULL,
	parent   TEXT NOT NULL,
	grp      TEXT NOT NULL,
	task     TEXT NOT NULL,
	owner    INTEGER NOT NULL,
	created  INTEGER NOT NULL,
	state    TEXT NOT NULL,
	accepted INTEGER NOT NULL DEFAULT 0,
	steps    INTEGER NOT NULL DEFAULT 0,
	elapsed  INTEGER NOT NULL DEFAULT 0,
	needle   TEXT NOT NULL,
	answer   TEXT NOT NULL DEFAULT '',
	think    TEXT NOT NULL DEFAULT '',
	message  TEXT NOT NULL DEFAULT '',
	job      TEXT NOT NULL,
	stats    TEXT NOT NULL DEFAULT '{}',
	started  BLOB NOT NULL,
	finished BLOB,
	deleted  INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX runs_session ON runs (session, created);
CREATE INDEX runs_created ON runs (created);

CREATE TABLE steps (
	seq  INTEGER PRIMARY KEY AUTOINCREMENT,
	run  TEXT NOT NULL,
	n    INTEGER NOT NULL,
	data BLOB NOT NULL
) STRICT;
CREATE INDEX steps_run ON steps (run, seq);

CREATE TABLE pictures (
	run     TEXT NOT NULL,
	kind    TEXT NOT NULL,
	n       INTEGER NOT NULL,
	picture BLOB NOT NULL,
	PRIMARY KEY (run, kind, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE settings (
	name  TEXT PRIMARY KEY,
	value BLOB NOT NULL
) STRICT;
`, `
ALTER TABLE runs ADD COLUMN name TEXT NOT NULL DEFAULT '';
`}

// purge removes what was hidden before the time of the first argument, children first.
var purge = []string{
	"DELETE FROM runs WHERE deleted > 0 AND deleted < ?1 OR session IN (SELECT id FROM sessions WHERE deleted > 0 AND deleted < ?1)",
	"DELETE FROM sessions WHERE deleted > 0 AND deleted < ?1",
	"DELETE FROM drafts WHERE ?1 AND session NOT IN (SELECT id FROM sessions)",
	"DELETE FROM steps WHERE ?1 AND run NOT IN (SELECT id FROM runs)",
	"DELETE FROM pictures WHERE ?1 AND run NOT IN (SELECT id FROM runs)",
}
