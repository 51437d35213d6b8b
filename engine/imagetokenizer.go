package engine

import (
	"context"
	"image"
)

// ImageTokenizer turns pictures into codes and back. Codes count from 0 and are row-major over the grid; a model's image
// tokens are codes plus [ImageSpec].Offset. One goroutine at a time; both methods block and check ctx between levels.
type ImageTokenizer interface {
	// Grid is the layout of the codes of one picture.
	Grid() (cols, rows int)
	// Codebook is the number of codes.
	Codebook() int
	// EncodeImage fits img to the grid (shorter side resized, centre crop) and returns its cols*rows codes.
	EncodeImage(ctx context.Context, img image.Image) ([]Token, error)
	// DecodeImage returns the picture of codes laid out in cols columns. A negative code is a masked cell and decodes to
	// the neutral latent. Grids other than Grid() are allowed: the network is convolutional.
	DecodeImage(ctx context.Context, codes []Token, cols, rows int) (*image.NRGBA, error)
}
