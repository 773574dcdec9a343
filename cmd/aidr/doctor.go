package main

import (
	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/doctor"
)

func doctorCommand() *cobra.Command {
	var file string
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
most 30 s. With --offline it connects to nothing but the running process.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return errNoConfig()
			}
			x := doctor.Examine(cmd.Context(), doctor.Options{File: file, Offline: offline, Dial: func(dir string) (*api.Client, error) {
				return api.Dial(dir, api.Runtime{})
			}})
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
	f.BoolVar(&asJSON, "json", false, "print JSON, one object per check")
	f.BoolVar(&offline, "offline", false, "connect to nothing but the running process")
	return c
}
