package shelf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"unmask/engine"
)

// Import brings the model at path, a folder or a GGUF file, into the folder "models" of the data folder: as a copy, or
// moved, after which path is gone. progress is called with the bytes done and in all. A copy that is stopped or fails
// leaves nothing behind and its source as it was. A name that is taken is refused. It returns where the model is now.
func (s *Shelf) Import(ctx context.Context, path string, move bool, progress func(done, total int64)) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	root := filepath.Join(s.dir, "models")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return "", fmt.Errorf("import: %w", err)
	}
	to := filepath.Join(root, filepath.Base(abs))
	if _, err := os.Lstat(to); err == nil {
		return "", &engine.InputError{Item: "import", Reason: fmt.Sprintf("there is a %q in %s already", filepath.Base(abs), root)}
	}
	files, total, links, err := list(abs)
	if err != nil {
		return "", fmt.Errorf("import: %w", err)
	}
	if move && links {
		return "", &engine.InputError{Item: "import", Reason: "the folder has links to files elsewhere, which would break: copy it instead"}
	}
	if move && os.Rename(abs, to) == nil {
		progress(total, total)
		return to, nil
	}
	part := to + ".part"
	if err := copyAll(ctx, abs, part, files, total, progress); err != nil {
		return "", errors.Join(fmt.Errorf("import: %w", err), os.RemoveAll(part))
	}
	if err := os.Rename(part, to); err != nil {
		return "", errors.Join(fmt.Errorf("import: %w", err), os.RemoveAll(part))
	}
	if move { // another disk: everything is there now
		if err := os.RemoveAll(abs); err != nil {
			return to, fmt.Errorf("import: the copy is whole, but the source stays: %w", err)
		}
	}
	return to, nil
}

// list is the regular files below path, "" for path itself, with their size in all, and whether any of them is a link.
func list(path string) (files []string, total int64, links bool, err error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, 0, false, err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		links = true
		if info, err = os.Stat(path); err != nil {
			return nil, 0, false, err
		}
	}
	if !info.IsDir() {
		return []string{""}, info.Size(), links, nil
	}
	root := path
	if links {
		if root, err = filepath.EvalSymlinks(path); err != nil {
			return nil, 0, false, err
		}
	}
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if d.Type()&fs.ModeSymlink != 0 {
			links = true
		}
		info, err := os.Stat(p)
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return nil
		}
		rel, err := filepath.Rel(root, p)
		files, total = append(files, rel), total+info.Size()
		return err
	})
	return files, total, links, err
}

// copyAll copies files below from to the same places below to.
func copyAll(ctx context.Context, from, to string, files []string, total int64, progress func(done, total int64)) error {
	if err := os.RemoveAll(to); err != nil { // of a program that was killed
		return err
	}
	var done int64
	for _, f := range files {
		dst := filepath.Join(to, f)
		if err := os.MkdirAll(filepath.Dir(dst), 0o700); err != nil {
			return err
		}
		n, err := copyFile(ctx, filepath.Join(from, f), dst, func(n int64) { progress(done+n, total) })
		if err != nil {
			return err
		}
		done += n
	}
	return nil
}

func copyFile(ctx context.Context, from, to string, progress func(n int64)) (n int64, err error) {
	src, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer src.Close()
	dst, err := os.Create(to)
	if err != nil {
		return 0, err
	}
	defer func() {
		if e := dst.Close(); err == nil {
			err = e
		}
	}()
	for {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		m, err := io.CopyN(dst, src, 8<<20)
		n += m
		progress(n)
		if errors.Is(err, io.EOF) {
			return n, dst.Sync()
		}
		if err != nil {
			return n, err
		}
	}
}
