package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
)

// secretBytes is the length of a new secret: the output size of HMAC-SHA256, within the 24 to 64 of Standard Webhooks.
const secretBytes = 32

func webhookCommand() *cobra.Command {
	var w stateFlags
	c := &cobra.Command{Use: "webhook", Short: "Make secrets for webhook endpoints, and enable endpoints again", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	c.AddCommand(&cobra.Command{
		Use: "secret", Short: "Print a new secret for an endpoint (Standard Webhooks, HMAC-SHA256)", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := make([]byte, secretBytes)
			rand.Read(b)
			cmd.Println("whsec_" + base64.StdEncoding.EncodeToString(b))
			return nil
		},
	})
	enable := &cobra.Command{
		Use: "enable NAME", Short: "Deliver again to an endpoint that was disabled because it answered 410 Gone", Args: args(cobra.ExactArgs(1)),
		Long: `enable makes aidr deliver to a disabled endpoint again, from now on. What it did not get while it was disabled are dead
letters: aidr dlq replay --sink NAME sends them.`,
		RunE: w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, argv []string) error {
			var e api.Enabled
			if err := cl.Do(ctx, http.MethodPost, "/v1/sinks/"+url.PathEscape(argv[0])+"/enable", nil, &e); err != nil {
				return err
			}
			switch {
			case w.json:
				return printJSON(cmd.OutOrStdout(), e, true)
			case e.Changed:
				cmd.Printf("%s is enabled; aidr dlq replay --sink %s sends what it has missed\n", e.Sink, e.Sink)
			default:
				cmd.Printf("%s was not disabled\n", e.Sink)
			}
			return nil
		}),
	}
	w.flags(enable)
	c.AddCommand(enable)
	return c
}
