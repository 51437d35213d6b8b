package verify

import "testing"

// TestVisionFolders verifies the copies of the folders of models that read pictures.
func TestVisionFolders(t *testing.T) {
	for _, name := range []string{"llada-v", "lavida", "lavida-dream"} {
		t.Run(name, func(t *testing.T) { verifyFolder(t, name, Options{Backend: backend}) })
	}
}
