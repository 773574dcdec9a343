package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/doctor"
	"github.com/aidr-engine/aidr/cmd/aidr/output"
)

func doctorCommand() *cobra.Command {
	var file, bundle, log string
	var asJSON, offline bool
	c := &cobra.Command{
		Use: "doctor --config FILE", Short: "Find out why aidr does not work (exit code 0: ok, 1: failures, 3: only warnings)", Args: args(cobra.NoArgs),
		Long: `doctor checks a configuration and everything that it names, and prints a line for each check, with what to do about it:

  configuration  the file, its rules, lists, maps, registry, filters and certificates
  rules          those that can find nothing with these sources
  clock          of this machine, the servers and the newest records
  disk           free space and the time of an fsync in the state directory
  process        the health of the aidr that runs on the state directory
  source, sink   brokers, topics, rights, groups; ClickHouse with version, tables and rights; endpoints

It joins no consumer group, commits no offset and delivers nothing: endpoints get a HEAD request. All connections together take at
most 30 s. With --offline it connects to nothing but the running process.

With --bundle it also writes the checks, the configuration without its secrets, versions, the digest of the rules, and the status,
metrics, costs and last log lines of the running process into a file for a ticket.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return errNoConfig()
			}
			x := doctor.Examine(cmd.Context(), doctor.Options{File: file, Offline: offline, Dial: dialState})
			if bundle != "" {
				if err := writeBundle(cmd, x, bundle, doctor.BundleOptions{Options: doctor.Options{File: file, Dial: dialState}, Log: log}); err != nil {
					return err
				}
			}
			if asJSON {
				for _, check := range x.Checks {
					if err := printJSON(cmd.OutOrStdout(), check, true); err != nil {
						return err
					}
				}
			} else {
				for _, check := range x.Checks {
					cmd.Println(plain(check.String()))
				}
			}
			switch x.Worst() {
			case doctor.Fail:
				return &exit{code: exitFailed}
			case doctor.Warn:
				return &exit{code: exitWarnings}
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&file, "config", "", "configuration file")
	f.StringVar(&bundle, "bundle", "", "also write a bundle for a ticket, such as aidr-doctor.tar.gz")
	f.StringVar(&log, "log", "", "log of aidr for the bundle, if aidr does not run")
	f.BoolVar(&asJSON, "json", false, "print JSON, one object per check")
	f.BoolVar(&offline, "offline", false, "connect to nothing but the running process")
	return c
}

// dialState returns a client for a state directory.
func dialState(dir string) (*api.Client, error) { return api.Dial(dir, api.Runtime{}) }

// writeBundle writes the bundle of an examination.
func writeBundle(cmd *cobra.Command, x *doctor.Examination, path string, o doctor.BundleOptions) error {
	f, err := output.Create(path)
	if err != nil {
		return err
	}
	defer f.Discard()
	o.Version, o.Now = version()+commit(), time.Now()
	if err := doctor.WriteBundle(cmd.Context(), f, x, o); err != nil {
		return err
	}
	if err := f.Commit(); err != nil {
		return err
	}
	cmd.PrintErrf("wrote %s: look into it before you send it\n", path)
	return nil
}
