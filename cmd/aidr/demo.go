package main

import (
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/aidr-engine/aidr/cmd/aidr/demo"
)

func demoCommand() *cobra.Command {
	var opts demo.Options
	c := &cobra.Command{
		Use:   "demo",
		Short: "Play a story in one process; nothing to install or configure",
		Long: `demo starts a Kafka broker in this process and plays a story of one minute into it: four agents at work, one of them
hijacked by a poisoned page, a key shared by two agents, an unregistered agent, and an agent that pays to an account out of a
mail after a week in which the account was always the same. It runs the engine with the shipped rules
and one of its own, stores the findings locally, and sends signed webhooks to a local receiver that verifies them.

The hijacked agent has a key at the LLM gateway, a consumer at the API gateway and a role in the cloud. The registry
agents.yaml in the state directory makes them one agent, so one finding joins the attack across the three sources.

With --once --json the output is the same from run to run.

--kafka uses a real broker instead of the one in the process. --clickhouse installs (178 MB, once) and starts a local
ClickHouse engine and stores the findings there too; --clickhouse=DSN uses a server.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts.Out, opts.Err, opts.Version = cmd.OutOrStdout(), cmd.ErrOrStderr(), version()
			if f, ok := terminal(opts.Out); ok {
				opts.Terminal, opts.Width = true, func() int { return columns(f) }
			}
			if opts.ClickHouse == "local" {
				if _, err := installEngine(cmd.Context(), opts.Err); err != nil {
					return err
				}
			}
			return demo.Run(cmd.Context(), opts)
		},
	}
	f := c.Flags()
	f.BoolVar(&opts.Once, "once", false, "play the story as fast as possible, then exit")
	f.BoolVar(&opts.JSON, "json", false, "print only a JSON summary at the end")
	f.StringVar(&opts.Kafka, "kafka", "", "host:port of a Kafka broker to use")
	f.StringVar(&opts.ClickHouse, "clickhouse", "",
		"store findings in ClickHouse too: in the server of a DSN, or without a value in the local engine")
	f.Lookup("clickhouse").NoOptDefVal = "local"
	f.StringVar(&opts.State, "state", "", "state directory (default: a temporary one, which is kept)")
	return c
}

// columns returns the current width of a terminal, or 80 if it is unknown.
func columns(f *os.File) int {
	if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
		return w
	}
	return 80
}
