package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/davit-wasm/davit"
)

// profileOptions are the flags of `davit run` that are about profilers.
type profileOptions struct {
	profile     string
	profileRate int
	perf        string
}

func (o *profileOptions) profileFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.profile, "profile", "", "write a CPU profile to `FILE`, for go tool pprof and davit explore")
	f.IntVar(&o.profileRate, "profile-rate", davit.DefaultProfileRate, "take `N` samples in a second of processor time")
	f.StringVar(&o.perf, "perf", "", "tell Linux's perf about compiled code: `HOW` is map, or jitdump for perf inject --jit")
	cmd.RegisterFlagCompletionFunc("perf", cobra.FixedCompletions([]string{"map", "jitdump"}, cobra.ShellCompDirectiveNoFileComp))
}

// perfFiles are the fields of the engine's configuration that --perf asks for. The
// dump is in the folder that the program is run in, where perf record writes, too.
func (o *profileOptions) perfFiles(cmd *cobra.Command) (perfMap bool, jitDump string, err error) {
	switch o.perf {
	case "":
		return false, "", nil
	case "map":
		return true, "", nil
	case "jitdump":
		return false, ".", nil
	}
	return false, "", usagef(cmd, "--perf %q: want map or jitdump", o.perf)
}

// startProfile begins the profile that --profile asks for; end writes it, and gives
// the error of the program, or else its own.
func (o *profileOptions) startProfile(cmd *cobra.Command) (p *davit.Profile, end func(error) error, err error) {
	if o.profileRate < 1 {
		return nil, nil, usagef(cmd, "--profile-rate %d: no sample would be taken", o.profileRate)
	}
	f, err := os.Create(o.profile)
	if err != nil {
		return nil, nil, fmt.Errorf("--profile: %w", err)
	}
	p, err = davit.StartProfile(f, &davit.ProfileOptions{Rate: o.profileRate})
	if err != nil {
		f.Close()
		os.Remove(o.profile)
		return nil, nil, err
	}
	return p, func(err error) error {
		perr := p.Stop()
		if e := f.Close(); perr == nil {
			perr = e
		}
		switch {
		case perr == nil:
			return err
		case err == nil:
			return fmt.Errorf("--profile: %w", perr)
		}
		return fmt.Errorf("%w (and no profile: %w)", err, perr)
	}, nil
}
