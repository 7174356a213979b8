// Command bench runs davit beside its peers: the same work in turn, in one
// process, and prints medians, their spread, and ratios of medians. See
// README.md.
//
// It is a module of its own, so that the peers are no dependencies of davit.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

const usage = `Measure davit beside its peers.

  go run . -all [-quick] [-report out.html] [-json out.json]   everything
  go run . -tables NAME,NAME [PATTERN]                         some tables, rows that match
  go run . -corpus [PATTERN]                                   the same as -tables execution
  go run . -kernels DIR [PATTERN]                              the same as -tables kernels, with other kernels
  go run . -api                                                the same as -tables api,load,live,deadline
  go run . -from old.json -report out.html                     what was measured before
  go run . -health 100                                         collections and deadlines beside loops
  go run . -fuzz 1000 [-seed 1] [-save DIR [-reduce]]          random modules by all engines

Engines take options after a colon. davit: bounds, epoch, fuel, quick, deadline,
cpu=MODEL, NAME=VALUE for a setting of the code generator; wasmtime: none, epoch,
fuel; both joined by +; wazero: deadline; v8: liftoff. For -fuzz there is one more, oracle, davit's IR interpreter, with
optimized and bounds.

`

// A family is tables that are measured together.
type family struct {
	name    string
	measure func(b *bench) ([]*table, error)
}

var families = []family{
	{"execution", (*bench).execution},
	{"compile", (*bench).compiling},
	{"size", (*bench).sizes},
	{"instantiate", (*bench).instantiations},
	{"kernels", (*bench).microKernels},
	{"api", (*bench).apiCosts},
	{"load", (*bench).loading},
	{"live", (*bench).liveInstances},
	{"deadline", (*bench).deadlines},
	{"native", (*bench).nativeKernels},
	{"native-compile", (*bench).nativeCompilation},
}

func main() {
	shared := filepath.Join("..", "..", "shared")
	var (
		all      = flag.Bool("all", false, "measure everything")
		tables   = flag.String("tables", "", "measure these tables, with commas between them: "+familyNames())
		corpus   = flag.Bool("corpus", false, "measure the programs of the corpus")
		costs    = flag.Bool("api", false, "measure operations of the embedding API, loading, many instances, and deadlines")
		quick    = flag.Bool("quick", false, "a part of everything, in a minute or two")
		specs    = flag.String("engines", "davit,wasmtime,wazero,v8", "who is measured")
		base     = flag.String("base", "", "the engine that others are compared with (default: wasmtime, or else the last one)")
		runs     = flag.Int("runs", 0, "samples of each row and engine, of which the median counts (default 9, with -quick 3)")
		budget   = flag.Duration("budget", 30*time.Second, "fewer samples of rows that take longer, but 3 at least")
		dir      = flag.String("dir", filepath.Join(shared, "bench", "sightglass"), "folder of the corpus")
		kernels  = flag.String("kernels", "", "folder of kernels: micro.wat, and spec.json, which says what to call and how often (default: the built-in ones)")
		real     = flag.String("real", filepath.Join(shared, "real"), "folder of larger modules")
		page     = flag.String("report", "", "write a web page with charts to this file")
		jsonFile = flag.String("json", "", "write all samples to this file")
		markdown = flag.Bool("markdown", false, "print tables in Markdown")
		old      = flag.String("compare", "", "say what is different from this file, which -json wrote")
		from     = flag.String("from", "", "measure nothing: take the numbers from this file, which -json wrote")
		verbose  = flag.Bool("v", false, "say what is under way")

		child   = flag.String("child", "", "compile the module that the argument names by this engine once, and print what it costs in JSON")
		alive   = flag.Int("live", 0, "make -child keep so many instances instead, and print what each takes in JSON")
		threads = flag.Int("threads", 0, "threads that -child compiles on; 0 are all processors")
		trials  = flag.Int("health", 0, "instead, measure collections and deadlines beside loops, so many times")
		modules = flag.Uint64("fuzz", 0, "instead, run so many random modules by all engines, and compare")
		seed    = flag.Uint64("seed", 1, "the first random module")
		save    = flag.String("save", "", "folder for random modules that engines disagree on")
		reduced = flag.Bool("reduce", false, "make them smaller, too, and write their text to the folder of -save")
	)
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	flag.Parse()
	b := &bench{
		specs: strings.Split(*specs, ","), base: *base, runs: *runs, budget: *budget, quick: *quick,
		corpus: *dir, kernels: *kernels, real: *real, log: io.Discard,
	}
	if b.runs == 0 {
		b.runs = 9
		if *quick {
			b.runs = leastRuns
		}
	}
	b.compilations = min(b.runs, leastRuns)
	if *quick {
		b.compilations = 1
	}
	if *verbose {
		b.log = os.Stderr
	}
	var err error
	if b.match, err = regexp.Compile(flag.Arg(0)); err != nil {
		fail(err)
	}
	want := *tables
	switch {
	case *child != "" && *alive > 0:
		fail(liveChild(*child, *alive))
		return
	case *child != "":
		fail(compileChild(*child, *threads, flag.Arg(0)))
		return
	case *modules > 0:
		fail(fuzz(*specs, *seed, *modules, *save, *reduced))
		return
	case *trials > 0:
		fail(health(*trials))
		return
	case *all:
		want = familyNames()
		if _, err := os.Stat(filepath.Join(shared, "bench", "micro")); err == nil && *kernels == "" {
			b.kernels = filepath.Join(shared, "bench", "micro")
		}
	case want != "", *from != "":
	case *corpus:
		want = "execution"
	case *costs:
		want = "api,load,live,deadline"
	case *kernels != "":
		want = "kernels"
	default:
		flag.Usage()
		os.Exit(2)
	}
	outputs := outputs{page: *page, json: *jsonFile, markdown: *markdown, old: *old}
	if *from != "" {
		r, err := readReport(*from)
		if err == nil {
			for _, t := range r.Tables {
				outputs.table(t)
			}
			err = outputs.finish(r)
		}
		fail(err)
		return
	}
	fail(b.measure(strings.Split(want, ","), &outputs))
}

// fail ends the program if there is an error.
func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func familyNames() string {
	var list []string
	for _, f := range families {
		list = append(list, f.name)
	}
	return strings.Join(list, ",")
}

// measure measures families of tables and puts them out.
func (b *bench) measure(want []string, out *outputs) (err error) {
	if b.temp, err = os.MkdirTemp("", "bench"); err != nil {
		return err
	}
	defer os.RemoveAll(b.temp)
	b.noise = newNoise()
	r := &report{Started: time.Now().Round(time.Second), Machine: machine(), Engines: versions(b.specs), Noise: b.noise}
	for _, name := range want {
		i := slices.IndexFunc(families, func(f family) bool { return f.name == name })
		if i < 0 {
			return fmt.Errorf("unknown table %q: %s are known", name, familyNames())
		}
		tables, err := families[i].measure(b)
		if errors.Is(err, fs.ErrNotExist) && len(want) == len(families) {
			b.skip(fmt.Sprintf("table %s is left out: %v", name, err))
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, t := range tables {
			out.table(t)
		}
		r.Tables = append(r.Tables, tables...)
	}
	b.noise.end()
	r.Absent, r.Took = b.absent, time.Since(r.Started).Seconds()
	return out.finish(r)
}

// outputs is where results go.
type outputs struct {
	page, json, old string
	markdown        bool
}

// table prints a table as soon as it is there.
func (o *outputs) table(t *table) {
	if o.markdown {
		t.markdown(os.Stdout)
		return
	}
	t.print(os.Stdout)
}

// finish writes files, and fails if an engine has.
func (o *outputs) finish(r *report) error {
	fmt.Println()
	for _, line := range r.Absent {
		fmt.Println(line)
	}
	fmt.Println(r.Noise.verdict())
	if o.json != "" {
		if err := r.write(o.json); err != nil {
			return err
		}
	}
	if o.page != "" {
		if err := r.writePage(o.page); err != nil {
			return err
		}
	}
	if o.old != "" {
		old, err := readReport(o.old)
		if err != nil {
			return err
		}
		compare(os.Stdout, old, r)
	}
	if list := r.failures(); len(list) > 0 {
		return errors.New("failures:\n" + strings.Join(list, "\n"))
	}
	return nil
}
