package main

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
)

func consoleCommand() *cobra.Command {
	var w stateFlags
	c := &cobra.Command{
		Use: "console", Short: "Open the web console of a running aidr", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	w.flags(c)
	c.AddCommand(&cobra.Command{
		Use: "link", Short: "Print a link that opens the console once", Args: args(cobra.NoArgs),
		Long: `link prints a link to the console of the aidr that runs on the state directory. It works once, within a minute, and opens a
session of the user of this command. The console is served if the configuration has console.listen.`,
		Example: "  aidr console link --config aidr.yaml\n  xdg-open \"$(aidr console link --state ./state)\"",
		RunE: w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, _ []string) error {
			var l api.ConsoleLink
			if err := cl.Do(ctx, http.MethodPost, "/v1/console/link", nil, &l); err != nil {
				return err
			}
			if w.json {
				return printJSON(cmd.OutOrStdout(), l, true)
			}
			cmd.Println(l.URL)
			return nil
		}),
	})
	return c
}
