//go:build windows

package weights

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// mapFile maps the file at path read-only.
func mapFile(path, name string) (*blob, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // the view outlives the handles
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() == 0 || info.Size() != int64(int(info.Size())) {
		return nil, fmt.Errorf("%s: %d bytes long, which can not be mapped", path, info.Size())
	}
	h, err := windows.CreateFileMapping(windows.Handle(f.Fd()), nil, windows.PAGE_READONLY, 0, 0, nil)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	addr, err := windows.MapViewOfFile(h, windows.FILE_MAP_READ, 0, 0, 0)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("map %s: %w", path, err), windows.CloseHandle(h))
	}
	// The view is not Go memory, so the address may be held as a pointer; the indirection says so to vet.
	data := unsafe.Slice(*(**byte)(unsafe.Pointer(&addr)), int(info.Size()))
	return &blob{name: name, data: data, close: func() error {
		return errors.Join(windows.UnmapViewOfFile(addr), windows.CloseHandle(h))
	}}, nil
}
