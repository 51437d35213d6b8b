//go:build !unix && !windows

package weights

import "os"

// mapFile reads the file at path: this system has no mapping.
func mapFile(path, name string) (*blob, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return &blob{name: name, data: data, close: func() error { return nil }}, nil
}
