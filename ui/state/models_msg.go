package state

import "unmask/engine"

// Gestures in the Models pane.
type (
	// AddModels puts folders, or files of them, on the list.
	AddModels struct {
		Paths []string
	}
	// RemoveModel takes a model off the list; its files stay.
	RemoveModel struct {
		ID string
	}
	// PutBack is what Undo of RemoveModel does.
	PutBack struct {
		Model KnownModel
		At    int
		Tasks []engine.Task
	}
	// ChooseModel shows the details of a model.
	ChooseModel struct {
		ID string
	}
	// FindModels lists the models that Query occurs in.
	FindModels struct {
		Query string
	}
	// LoadKnown loads a model of the list, "" the built-in one.
	LoadKnown struct {
		ID string
	}
	// StopLoad stops loading; the model before stays.
	StopLoad struct{}
	// Unload frees the model that is loaded.
	Unload struct{}
	// SetType sets the arithmetic that a model is loaded with; "" is the best that fits.
	SetType struct {
		ID, DType string
	}
	// AddAdapter lays an adapter over a model from its next loading on.
	AddAdapter struct {
		ID, Path string
	}
	// SwitchAdapter switches an adapter on or off.
	SwitchAdapter struct {
		ID, Path string
		On       bool
	}
	// SetDefault gives a task to a model, or takes it away.
	SetDefault struct {
		Task engine.Task
		ID   string
		On   bool
	}
	// ImportModel copies or moves a model of the list into the program's folder.
	ImportModel struct {
		ID   string
		Move bool
	}
	// StopImport stops it; nothing of the copy stays.
	StopImport struct{}
	// LookAgain reads all files anew.
	LookAgain struct{}
)

// Outcomes of the commands of the Models pane.
type (
	// ShelfRead answers ReadShelf.
	ShelfRead struct {
		Known   Known
		Machine Machine
		Err     error
	}
	// Located answers Locate.
	Located struct {
		Paths []string
		Err   error // of the last one that is no model
	}
	// Described answers DescribeModel.
	Described struct {
		ID      string
		Card    engine.Card
		Err     error
		Machine Machine
	}
	// Unloaded says that the model is freed.
	Unloaded struct {
		Err     error
		Machine Machine
	}
	// Importing says how many bytes are brought over.
	Importing struct {
		Done, Total int64
	}
	// Imported answers BringModel.
	Imported struct {
		ID, To string
		Err    error
	}
)

// Commands of the Models pane.
type (
	// ReadShelf answers with ShelfRead.
	ReadShelf struct{}
	// KeepShelf writes the list.
	KeepShelf struct{ Known Known }
	// Locate answers with Located.
	Locate struct{ Paths []string }
	// DescribeModel answers with Described.
	DescribeModel struct{ Model KnownModel }
	// StopLoading cancels LoadModel.
	StopLoading struct{}
	// FreeModel answers with Unloaded.
	FreeModel struct{}
	// BringModel answers with Importing and Imported.
	BringModel struct {
		ID   string
		Move bool
	}
	// StopBringing cancels BringModel.
	StopBringing struct{}
)

func (AddModels) msg()     {}
func (RemoveModel) msg()   {}
func (PutBack) msg()       {}
func (ChooseModel) msg()   {}
func (FindModels) msg()    {}
func (LoadKnown) msg()     {}
func (StopLoad) msg()      {}
func (Unload) msg()        {}
func (SetType) msg()       {}
func (AddAdapter) msg()    {}
func (SwitchAdapter) msg() {}
func (SetDefault) msg()    {}
func (ImportModel) msg()   {}
func (StopImport) msg()    {}
func (LookAgain) msg()     {}
func (ShelfRead) msg()     {}
func (Located) msg()       {}
func (Described) msg()     {}
func (Unloaded) msg()      {}
func (Importing) msg()     {}
func (Imported) msg()      {}
func (ReadShelf) cmd()     {}
func (KeepShelf) cmd()     {}
func (Locate) cmd()        {}
func (DescribeModel) cmd() {}
func (StopLoading) cmd()   {}
func (FreeModel) cmd()     {}
func (BringModel) cmd()    {}
func (StopBringing) cmd()  {}
