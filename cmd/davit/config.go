package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func init() { commands = append(commands, configCommand) }

// The configuration file gives flags other defaults: a table for each command,
// with the names of its flags as keys. A flag on the command line wins.

// configTable are the flags of a command that the file may set.
type configTable struct {
	command string // "" is for the flags of all commands
	keys    []configKey
}

type configKey struct {
	name, example, comment string
}

var configTables = []configTable{
	{"", []configKey{
		{"color", `"auto"`, `colours: "auto" (on a terminal), "always" or "never"`},
	}},
	{"run", []configKey{
		{"dir", `[".::/work:ro"]`, "directories for the program: HOST[::GUEST][:ro]"},
		{"env", `["LANG=C"]`, "variables for the program: NAME=VALUE, or NAME as it is set here"},
		{"env-inherit", `["HOME", "PATH"]`, "variables to pass on; true for all"},
		{"preload", `["env=env.wasm"]`, "modules to import from: NAME=FILE"},
		{"timeout", `"30s"`, "end the program after this time"},
		{"fuel", "1000000000", "trap after about so many instructions"},
		{"max-memory", `"512M"`, "most memory that the program can have"},
		{"max-stack", `"1M"`, "size of the program's stack"},
		{"cpu", `""`, "model of processor to compile for"},
		{"quick", "false", "compile in less than half the time, to slower code"},
		{"set", "[]", "settings of the code generator: NAME=VALUE"},
		{"cache", "true", "keep compiled modules in the user's cache, or in a folder"},
		{"progress", `"auto"`, `show the progress of long compilations: "auto" (on a terminal), "always" or "never"`},
	}},
	{"print", []configKey{
		{"folded", "true", "write instructions behind their operators' parentheses"},
		{"no-names", "false", "write indexes instead of names"},
	}},
	{"validate", []configKey{
		{"features", `["all"]`, "features that modules may use"},
	}},
	{"wast", []configKey{
		{"timeout", `"1m"`, "how long an action may run"},
	}},
}

// configFile is the file to read. must says that it was named, so that it is an
// error if it does not exist.
func (s *session) configFile() (file string, must bool, err error) {
	if s.config != "" {
		return s.config, true, nil
	}
	if file := os.Getenv("DAVIT_CONFIG"); file != "" {
		return file, true, nil
	}
	dir, err := os.UserConfigDir() // $XDG_CONFIG_HOME or its like
	if err != nil {
		return "", false, err
	}
	return filepath.Join(dir, "davit", "config.toml"), false, nil
}

// applyConfig sets the flags of cmd that the command line did not, as the
// configuration file says.
func (s *session) applyConfig(cmd *cobra.Command) error {
	if cmd.Name() == "help" || cmd.Name() == "new" && cmd.Parent().Name() == "config" {
		return nil
	}
	file, must, err := s.configFile()
	if err != nil {
		return nil // there is no place for one
	}
	settings, err := readConfig(file)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !must:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return withHint(err, "'davit config new "+file+"' makes it")
	case err != nil:
		return err
	}
	for _, x := range settings {
		if x.command != "" && (x.command != cmd.Name() || cmd.Parent() != cmd.Root()) {
			continue
		}
		flag := cmd.Flags().Lookup(x.key)
		if flag == nil {
			return fmt.Errorf("%s:%d: command %s has no flag --%s", file, x.line, cmd.Name(), x.key)
		}
		if flag.Changed {
			continue
		}
		if list, ok := flag.Value.(pflag.SliceValue); ok {
			err = list.Replace(x.values)
		} else {
			err = flag.Value.Set(strings.Join(x.values, ","))
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %s: %w", file, x.line, x.path(), err)
		}
	}
	return nil
}

// setting is a key of a configuration file with its value.
type setting struct {
	command, key string
	values       []string // one, unless it is an array
	line         int
}

func (x *setting) path() string {
	if x.command == "" {
		return x.key
	}
	return x.command + "." + x.key
}

// readConfig reads and checks a configuration file. Its errors name the line.
func readConfig(file string) ([]setting, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return parseConfig(file, data)
}

// parseConfig is readConfig of what is in the file.
func parseConfig(file string, data []byte) ([]setting, error) {
	var all map[string]any
	meta, err := toml.Decode(string(data), &all)
	var parse toml.ParseError
	switch {
	case errors.As(err, &parse):
		return nil, fmt.Errorf("%s:%d: %s", file, parse.Position.Line, parse.Message)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var settings []setting
	for _, key := range meta.Keys() {
		value := any(all)
		for _, k := range key {
			m, ok := value.(map[string]any)
			if !ok {
				break // inside an array of tables; its own key is refused
			}
			value = m[k]
		}
		_, isTable := value.(map[string]any)
		var table string
		if len(key) > 1 || isTable {
			table = key[0]
		}
		line := lineOfKey(data, key)
		t := slices.IndexFunc(configTables, func(t configTable) bool { return t.command == table })
		if t < 0 {
			var names []string
			for _, t := range configTables {
				names = append(names, t.command)
			}
			return nil, withHint(fmt.Errorf("%s:%d: unknown table [%s]", file, line, table),
				orElse(didYouMean(near(table, names), ""), "there are "+strings.Join(names[1:], ", ")))
		}
		if isTable && len(key) == 1 {
			continue
		}
		x := setting{command: table, key: key[len(key)-1], line: line}
		var names []string
		for _, k := range configTables[t].keys {
			names = append(names, k.name)
		}
		if isTable || len(key) > 2 || !slices.Contains(names, x.key) {
			return nil, withHint(fmt.Errorf("%s:%d: unknown key %s", file, line, key),
				orElse(didYouMean(near(x.key, names), ""), "there are "+strings.Join(names, ", ")))
		}
		if x.values, err = settingValues(value); err != nil {
			return nil, fmt.Errorf("%s:%d: %s: %w", file, line, key, err)
		}
		settings = append(settings, x)
	}
	return settings, nil
}

func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// settingValues are the words that a flag would be given.
func settingValues(v any) ([]string, error) {
	switch v := v.(type) {
	case string:
		return []string{v}, nil
	case bool:
		return []string{strconv.FormatBool(v)}, nil
	case int64:
		return []string{strconv.FormatInt(v, 10)}, nil
	case []any:
		words := []string{}
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil, fmt.Errorf("want strings in the array, not %v", e)
			}
			words = append(words, s)
		}
		return words, nil
	}
	return nil, fmt.Errorf("want a string, a number, true, false or an array of strings")
}

// probe refuses whatever it is decoded from: the error then has the place.
type probe struct{}

func (*probe) UnmarshalTOML(any) error { return errors.New("found") }

// lineOfKey finds the line of a key by decoding it alone into something that
// refuses it: the package tells places in its errors only.
func lineOfKey(data []byte, key toml.Key) int {
	t := reflect.TypeFor[probe]()
	for i := len(key) - 1; i >= 0; i-- {
		if strings.ContainsAny(key[i], ",\"\\") { // of no use in a tag
			return 0
		}
		t = reflect.StructOf([]reflect.StructField{{Name: "X", Type: t, Tag: reflect.StructTag("toml:" + strconv.Quote(key[i]))}})
	}
	var parse toml.ParseError
	if _, err := toml.Decode(string(data), reflect.New(t).Interface()); errors.As(err, &parse) {
		return parse.Position.Line
	}
	return 0
}

func configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Make or show the configuration file",
		Long: `Make or show the configuration file, in TOML, which gives flags of davit's
commands other defaults. Flags on the command line win over it.

The file is the one that the flag --config names, or the variable DAVIT_CONFIG,
or else davit/config.toml in the user's folder of configurations:
$XDG_CONFIG_HOME or ~/.config on Linux. Paths in it are relative to the folder
that davit is called in.`,
		Example: "  davit config new\n  davit config show",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	cmd.AddCommand(configNewCommand(), configShowCommand())
	return cmd
}

func configNewCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "new [FILE]",
		Short: "Write a configuration file that sets nothing yet",
		Long: `Write a configuration file with everything that can be set, in comments. FILE
may be - for standard output.`,
		Example: "  davit config new\n  davit config new project.toml\n  davit --config project.toml config show",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, _, err := sessionOf(cmd).configFile()
			if len(args) > 0 {
				file, err = args[0], nil
			}
			if err != nil {
				return err
			}
			text := []byte(configTemplate())
			if file == "-" {
				_, err := cmd.OutOrStdout().Write(text)
				return err
			}
			if _, err := os.Stat(file); err == nil && !force {
				return withHint(fmt.Errorf("%s exists already", file), "--force replaces it")
			}
			if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
				return err
			}
			if err := os.WriteFile(file, text, 0o666); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), file)
			return nil
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "replace the file if it exists")
	return cmd
}

// configTemplate is a file with everything in comments.
func configTemplate() string {
	var b strings.Builder
	b.WriteString("# Settings of davit: other defaults for flags, which win over them.\n# See davit config --help, and davit COMMAND --help for the flags.\n")
	for _, t := range configTables {
		b.WriteString("\n")
		if t.command != "" {
			fmt.Fprintf(&b, "[%s]\n", t.command)
		}
		for _, k := range t.keys {
			fmt.Fprintf(&b, "# %s\n# %s = %s\n", k.comment, k.name, k.example)
		}
	}
	return b.String()
}

func configShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show",
		Short:   "Print which configuration file is used, and what it sets",
		Example: "  davit config show",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			file, _, err := sessionOf(cmd).configFile()
			if err != nil {
				return err
			}
			settings, err := readConfig(file)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				fmt.Fprintf(cmd.OutOrStdout(), "# %s: there is no such file; 'davit config new' makes it\n", file)
				return nil
			case err != nil:
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "# %s\n", file)
			for _, x := range settings {
				text := make([]string, len(x.values))
				for i, v := range x.values {
					text[i] = strconv.Quote(v)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s = %s # line %d\n", x.path(), strings.Join(text, ", "), x.line)
			}
			return nil
		},
	}
}
