package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"unmask/engine"
)

// errHelp ends a command that was asked for its help and has printed it.
var errHelp = errors.New("help was printed")

// command is a row of [commands].
type command struct {
	name  string
	args  string // of the usage line
	short string // one line of the list of commands
	long  string // examples and rules, for --help
	task  engine.Task
	// takes says which groups of flags the command has.
	takes flagGroup
	setup func(c *call) // registers the command's own flags; may be nil
	run   func(ctx context.Context, c *call) error
}

// flagGroup is a set of flags that several commands share.
type flagGroup uint8

// The groups.
const (
	takesModel  flagGroup = 1 << iota // --model, --dtype, --threads, --kernels, --device
	takesJob                          // every option of a run and of the samplers, --preset
	takesOutput                       // -o
	takesJSON                         // --json
	takesTrace                        // --trace
)

// call is one use of a command: its parsed flags, the configuration, and the streams.
type call struct {
	streams
	cmd    *command
	fs     *flag.FlagSet
	args   []string // what is not a flag
	cfg    Config
	log    *slog.Logger
	job    *optionFlags
	output string
	trace  string
	json   bool
	watch  bool
	own    any // the command's own flags
}

// commands lists the commands in the order of the help text. It is filled in init because the rows' functions use it.
var commands []*command

func init() {
	commands = []*command{
		cmdGUI(), cmdChat(), cmdPaint(), cmdInpaint(), cmdEdit(), cmdDescribe(), cmdInfill(), cmdCompare(),
		cmdReplay(), cmdScore(), cmdVerify(), cmdEval(), cmdBench(), cmdModels(), cmdDoctor(),
	}
}

// lookup finds the command of a command line: gui where there is none, nil where help is asked for.
func lookup(args []string) (*command, []string, error) {
	if len(args) == 0 {
		return commands[0], nil, nil
	}
	switch name := args[0]; {
	case name == "help" && len(args) > 1:
		return lookup([]string{args[1], "--help"})
	case name == "help" || name == "-h" || name == "-help" || name == "--help":
		return nil, nil, nil
	case strings.HasPrefix(name, "-"):
		return commands[0], args, nil
	default:
		for _, c := range commands {
			if c.name == name {
				return c, args[1:], nil
			}
		}
		return nil, nil, usagef("there is no command %q; `unmask help` lists them", clip(name))
	}
}

// main parses args, merges the configuration and runs the command.
func (cmd *command) main(ctx context.Context, args []string, s streams) error {
	c := &call{streams: s, cmd: cmd, fs: flag.NewFlagSet("unmask "+cmd.name, flag.ContinueOnError)}
	c.fs.SetOutput(io.Discard) // errors are printed once, by exitCode
	c.fs.Usage = func() {}
	file := c.fs.String("config", "", "configuration `FILE`")
	var adapters []string
	given := c.settingFlags()
	if cmd.takes&takesOutput != 0 {
		c.fs.StringVar(&c.output, "o", "", "write the result to `FILE`")
	}
	if cmd.takes&takesTrace != 0 {
		c.fs.StringVar(&c.trace, "trace", "", "record the run in `FILE`, for `unmask replay`")
	}
	if cmd.takes&takesJSON != 0 {
		c.fs.BoolVar(&c.json, "json", false, "print JSON")
	}
	if cmd.takes&takesJob != 0 {
		c.fs.BoolVar(&c.watch, "watch", false, "show every step")
		c.job = newOptionFlags(c.fs)
		c.fs.Func("adapter", "`DIR`: a PEFT adapter over the model of --model; may be given several times", func(v string) error {
			adapters = append(adapters, v)
			return nil
		})
	}
	if cmd.setup != nil {
		cmd.setup(c)
	}
	if err := c.parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			c.printUsage(s.out)
			return errHelp
		}
		return &usageError{fmt.Errorf("%s: %w (`unmask %s --help` lists the flags)", cmd.name, err, cmd.name)}
	}
	cfg, err := loadConfig(*file, given, getenv)
	if err != nil {
		return &usageError{err}
	}
	if cfg.Adapters = adapters; len(adapters) > 0 && cfg.Model == "" {
		return usagef("--adapter %s: goes with --model, the embedded model takes none", clip(adapters[0]))
	}
	c.cfg, c.log = cfg, newLogger(s.err, cfg)
	return cmd.run(ctx, c)
}

// settingFlags registers the settings that the command takes and returns the map that holds those given.
func (c *call) settingFlags() map[string]string {
	given := map[string]string{}
	for _, s := range settings {
		model := s.key == "model" || s.key == "dtype" || s.key == "threads" || s.key == "kernels" || s.key == "device"
		if model && c.cmd.takes&takesModel == 0 {
			continue
		}
		keep := func(v string) error { given[s.key] = v; return s.set(&Config{}, v) }
		if s.arg == "BOOL" {
			c.fs.BoolFunc(s.flag(), s.doc, keep)
		} else {
			c.fs.Func(s.flag(), "`"+s.arg+"`: "+s.doc, keep)
		}
	}
	return given
}

// parse accepts flags before, between and after the arguments; "--" ends the flags.
func (c *call) parse(args []string) error {
	for {
		if err := c.fs.Parse(args); err != nil {
			return err
		}
		rest := c.fs.Args()
		if n := len(args) - len(rest); n > 0 && args[n-1] == "--" {
			c.args = append(c.args, rest...)
			return nil
		}
		if len(rest) == 0 {
			return nil
		}
		c.args, args = append(c.args, rest[0]), rest[1:]
	}
}

// noArgs is an error when there are arguments that the command does not take.
func (c *call) noArgs() error {
	if len(c.args) > 0 {
		return usagef("%s takes no argument, got %q", c.cmd.name, clip(c.args[0]))
	}
	return nil
}

// printUsage prints the help text of a command.
func (c *call) printUsage(w io.Writer) {
	fmt.Fprintf(w, "Usage: unmask %s [flags] %s\n\n%s\n", c.cmd.name, c.cmd.args, strings.TrimSpace(c.cmd.short+"\n\n"+c.cmd.long))
	fmt.Fprintf(w, "\nFlags (in any place; a value follows after a space or \"=\"):\n")
	c.fs.VisitAll(func(f *flag.Flag) {
		arg, doc := flag.UnquoteUsage(f)
		name := "--" + f.Name
		if len(f.Name) == 1 {
			name = "-" + f.Name
		}
		if arg == "value" {
			arg = ""
		}
		doc = strings.TrimPrefix(doc, arg+": ")
		fmt.Fprintf(w, "  %-28s %s\n", strings.TrimSpace(name+" "+arg), strings.ReplaceAll(doc, "\n", "\n"+strings.Repeat(" ", 31)))
	})
	fmt.Fprintf(w, "\nExit codes: 0 done, 1 failed, 2 bad usage, 3 no display.\n")
}

// printHelp prints the list of commands.
func printHelp(w io.Writer) {
	fmt.Fprint(w, "Unmask is a playground for masked-diffusion language models.\n\nUsage: unmask [COMMAND] [flags] [arguments]\n\nCommands:\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  %-10s %s\n", c.name, c.short)
	}
	fmt.Fprint(w, "\nWithout a command the window opens. `unmask COMMAND --help` lists a command's flags.\n\nSettings (file < environment < flag):\n")
	for _, s := range settings {
		fmt.Fprintf(w, "  %-10s %-15s --%-10s %s\n", s.key, s.env, s.flag(), s.doc)
	}
}
