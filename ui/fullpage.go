package ui

import "unmask/ui/large"

// newLarge makes the large canvas of the window, closed.
func (s *shell) newLarge() *large.Canvas {
	c := large.New(s.w, s.toggleLarge)
	c.OnSeek(func(step int) {
		if tl := s.timeline(); tl != nil {
			tl.Seek(step)
		}
	})
	return c
}

// toggleLarge opens or closes the large canvas. It shows the run of the time line.
func (s *shell) toggleLarge() {
	on := !s.large.Open() && s.timeline() != nil
	s.large.SetOpen(on)
	s.root.Refresh()
	s.observe()
}
