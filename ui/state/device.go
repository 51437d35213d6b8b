package state

import (
	"context"
	"errors"

	"unmask/engine"
)

// Devices chooses where models run; app does. Both methods may be called from any goroutine.
type Devices interface {
	// Now is where models run: "cpu", "worker", or the command or "user@host" of a worker elsewhere.
	Now() string
	// Use goes on with another device after asking it what it is; on an error the one before stays. It blocks.
	Use(ctx context.Context, name string) (about string, err error)
}

// Device is where models run, as the Models pane shows it.
type Device struct {
	Name  string // in use
	About string // what it said of itself; "": it was not asked
	Asked string // being tried; "": none
	Err   error  // why the last one that was tried is not used
}

// SetDevice runs models elsewhere: "cpu", "worker", a command, or "user@host".
type SetDevice struct{ Name string }

// DeviceTried answers TryDevice.
type DeviceTried struct {
	Name, About string
	Err         error
}

// TryDevice answers with DeviceTried.
type TryDevice struct{ Name string }

// Said is something that the engine has to tell: a worker was lost.
type Said struct{ Text string }

// EngineNotice is a sentence of the engine for the person, as an error that the window shows.
type EngineNotice string

// Error is the sentence.
func (n EngineNotice) Error() string { return string(n) }

func (SetDevice) msg()   {}
func (DeviceTried) msg() {}
func (Said) msg()        {}
func (TryDevice) cmd()   {}

func updateDevice(s *State, m Msg, f Fresh) []Cmd {
	switch m := m.(type) {
	case SetDevice:
		if m.Name == "" || s.Device.Asked != "" {
			return nil
		}
		if s.Load.On || len(s.Queue) > 0 {
			s.Device.Err = engine.ErrBusy
			return nil
		}
		s.Device.Asked, s.Device.Err = m.Name, nil
		return []Cmd{TryDevice(m)}
	case DeviceTried:
		s.Device.Asked = ""
		if m.Err != nil {
			s.Device.Err = m.Err
			if errors.Is(m.Err, context.Canceled) {
				s.Device.Err = nil
			}
			return nil
		}
		first := s.Device.Name == ""
		s.Device = Device{Name: m.Name, About: m.About}
		if first {
			return nil // the window has just been told where it runs
		}
		id := s.Model.ID
		s.Model = Model{}
		return loadKnown(s, id, f)
	case Said:
		s.Notice = EngineNotice(m.Text)
	}
	return nil
}
