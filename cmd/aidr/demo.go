package main

import (
	"net"
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

The web console shows the same: demo prints a link to it that works once within a minute. On a terminal, and with --stay, the
console stays until an interrupt, and the hijacked agent goes on calling through a gateway that asks AIDR: contain it, and see the
proof. --console '' turns it off.

With --once --json the output is the same from run to run.

--kafka uses a real broker instead of the one in the process. --clickhouse installs (178 MB, once) and starts a local
ClickHouse engine and stores the findings there too; --clickhouse=DSN uses a server.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts.Out, opts.Err, opts.Version = cmd.OutOrStdout(), cmd.ErrOrStderr(), version()
			if f, ok := terminal(opts.Out); ok {
				opts.Terminal, opts.Width = true, func() int { return columns(f) }
				opts.Stay = opts.Stay || !opts.Once
			}
			if !cmd.Flags().Changed("console") {
				opts.Console = consoleAddress(opts.Stay || !opts.Once)
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
	f.StringVar(&opts.Console, "console", consoleDefault, "host:port of the web console; another port if it is taken, '' for none")
	f.BoolVar(&opts.Stay, "stay", false, "keep running after the story, until an interrupt (default on a terminal, unless --once)")
	f.StringVar(&opts.State, "state", "", "state directory (default: a temporary one, which is kept)")
	return c
}

// consoleDefault is the usual address of the console.
const consoleDefault = "127.0.0.1:8472"

// consoleAddress returns the address of the demo's console: the usual one, or a free port if that is taken; "" if none is wanted.
func consoleAddress(wanted bool) string {
	if !wanted {
		return ""
	}
	l, err := net.Listen("tcp", consoleDefault)
	if err != nil {
		return "127.0.0.1:0"
	}
	l.Close()
	return consoleDefault
}

// columns returns the current width of a terminal, or 80 if it is unknown.
func columns(f *os.File) int {
	if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
		return w
	}
	return 80
}
