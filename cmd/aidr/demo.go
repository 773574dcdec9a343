package main

import (
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/aidr-engine/aidr/cmd/aidr/demo"
)

func demoCommand() *cobra.Command {
	var o demo.Options
	c := &cobra.Command{
		Use:   "demo",
		Short: "Play a story in one process: nothing to install, no question asked",
		Long: `demo starts a Kafka broker in this process, plays a story of one minute into it - three agents at work, one of them
hijacked by a poisoned page, one key shared by two agents, one agent that nobody registered - and runs the engine with the
shipped rules over it: findings in a local store, signed webhooks to a local receiver that verifies them.

--kafka puts a real broker in place of the one in the process. --clickhouse installs (178 MB, once) and starts a local
ClickHouse engine and stores the findings there too; --clickhouse=DSN uses a server.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Out, o.Err, o.Version = cmd.OutOrStdout(), cmd.ErrOrStderr(), version()
			if f, ok := o.Out.(*os.File); ok {
				o.Terminal = term.IsTerminal(int(f.Fd()))
				o.Width = func() int { return columns(f) }
			}
			if o.ClickHouse == "local" {
				if _, err := installEngine(cmd.Context(), o.Err); err != nil {
					return err
				}
			}
			return demo.Run(cmd.Context(), o)
		},
	}
	f := c.Flags()
	f.BoolVar(&o.Once, "once", false, "play the story as fast as it goes, then end")
	f.BoolVar(&o.JSON, "json", false, "print one JSON summary at the end and nothing else")
	f.StringVar(&o.Kafka, "kafka", "", "host:port of a real Kafka broker")
	f.StringVar(&o.ClickHouse, "clickhouse", "", "store findings in ClickHouse too: a DSN, or without a value the local engine")
	f.Lookup("clickhouse").NoOptDefVal = "local"
	f.StringVar(&o.State, "state", "", "state directory (default: a temporary one, which is kept)")
	return c
}

// columns returns how wide a terminal is now; one that does not say has 80.
func columns(f *os.File) int {
	if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
		return w
	}
	return 80
}
