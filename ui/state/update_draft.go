package state

import (
	"image"
	"slices"

	"unmask/ui/mask"
)

func updateDraft(s *State, m Msg, f Fresh) []Cmd {
	switch m := m.(type) {
	case EditDraft:
		if s.Panes[m.Pane].Draft.Text == m.Text {
			return nil
		}
		cmds := ensure(s, m.Pane, "", f)
		s.setPane(m.Pane, func(p *PaneState) { p.Draft.Text = m.Text })
		return append(cmds, keepText(s, m.Pane))
	case Attach:
		if m.Pane == PaneInpaint && m.Picture.Image != nil {
			return openPicture(s, m.Picture, f)
		}
		cmds := ensure(s, m.Pane, "", f)
		s.setPane(m.Pane, func(p *PaneState) { p.Draft.Picture, p.Err = m.Picture.Image, nil })
		return append(cmds, KeepPicture{s.Panes[m.Pane].Session, m.Picture.Image})
	case PictureRead:
		s.Pane, s.Welcome = PaneInpaint, false
		return openPicture(s, Picture{m.Image, m.Title}, f)
	case SetMask:
		s.setPane(PaneInpaint, func(p *PaneState) { p.Draft.Mask = m.Mask })
		if id := s.Panes[PaneInpaint].Session; id != "" {
			return []Cmd{KeepMask{id, m.Mask}}
		}
	case SetFrame:
		s.setPane(PaneInpaint, func(p *PaneState) { p.Draft.Frame = m.Frame })
		return []Cmd{keepText(s, PaneInpaint)}
	case SetSeed:
		s.setPane(m.Pane, func(p *PaneState) { p.Draft.Seed, p.Locked = m.Seed, true })
		return []Cmd{keepText(s, m.Pane), KeepValues{s.Kept()}}
	case RollSeed:
		s.setPane(m.Pane, func(p *PaneState) { p.Draft.Seed = shortSeed(f.Seed) })
		return []Cmd{keepText(s, m.Pane)}
	case LockSeed:
		s.setPane(m.Pane, func(p *PaneState) { p.Locked = m.Locked })
		return []Cmd{KeepValues{s.Kept()}}
	case SetColumns:
		cmds := ensure(s, PaneCompare, "", f)
		s.setPane(PaneCompare, func(p *PaneState) { p.Draft.Task, p.Draft.Columns = m.Task, slices.Clone(m.Columns) })
		return append(cmds, keepText(s, PaneCompare))
	case CancelEdit:
		s.setPane(PaneChat, func(p *PaneState) { p.EditOf, p.Draft.Text, p.Draft.Picture = "", "", nil })
		return []Cmd{keepText(s, PaneChat), KeepPicture{s.Panes[PaneChat].Session, nil}}
	}
	return nil
}

// shortSeed keeps a seed short enough to read and to type again.
func shortSeed(seed uint64) uint64 { return seed % 100_000 }

func keepText(s *State, p Pane) Cmd { return KeepText{s.Panes[p].Session, s.Panes[p].Draft} }

// openPicture starts a session of Inpaint over a picture.
func openPicture(s *State, pic Picture, f Fresh) []Cmd {
	var text string
	if ps := s.Panes[PaneInpaint]; ps.Draft.Picture == nil {
		text = ps.Draft.Text // typed before a picture was there
	}
	s.setPane(PaneInpaint, func(p *PaneState) {
		*p = PaneState{List: p.List, Query: p.Query, Locked: p.Locked, MaskVersion: p.MaskVersion + 1}
		p.Draft = Draft{Picture: s.fit(pic.Image), Text: text, Seed: shortSeed(f.Seed)}
	})
	cmds := ensure(s, PaneInpaint, pic.Name, f)
	id := s.Panes[PaneInpaint].Session
	return append(cmds, KeepPicture{id, s.Panes[PaneInpaint].Draft.Picture}, KeepMask{id, nil}, keepText(s, PaneInpaint))
}

// replacePicture goes on in the same session with another picture to repaint.
func replacePicture(s *State, img image.Image) []Cmd {
	s.setPane(PaneInpaint, func(p *PaneState) {
		p.Draft.Picture, p.Draft.Mask, p.Draft.Frame = img, nil, image.Rectangle{}
		p.MaskVersion++
	})
	id := s.Panes[PaneInpaint].Session
	return []Cmd{KeepPicture{id, img}, KeepMask{id, nil}, keepText(s, PaneInpaint)}
}

// fit crops a picture to the aspect that the model draws in, so that its cells are where the model's are.
func (s *State) fit(img image.Image) image.Image {
	if sp := s.Model.Spec.Image; sp != nil {
		return mask.Crop(img, sp.Width, sp.Height)
	}
	return img
}
