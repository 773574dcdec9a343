package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
)

func canaryCommand() *cobra.Command {
	var w stateFlags
	var send bool
	var wait time.Duration
	c := &cobra.Command{
		Use: "canary", Short: "Show whether the canary comes through: a synthetic event, its finding, its delivery", Args: args(cobra.NoArgs),
		Long: `canary shows the latest synthetic event of the canary (section canary of the configuration): when it was made, found and delivered. If one
does not come through in time, that is the operational finding aidr.canary-missing. Canaries are in no inventory, baseline or figure of
rule quality. --send makes one at once and waits for it. The exit code is 1 if one is missing.`,
	}
	w.flags(c)
	c.Flags().BoolVar(&send, "send", false, "make an event at once, and wait for it")
	c.Flags().DurationVar(&wait, "wait", time.Minute, "how long --send waits")
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, _ []string) error {
		var s api.Canary
		method := http.MethodGet
		if send {
			method = http.MethodPost
		}
		began := time.Now()
		if err := cl.Do(ctx, method, "/v1/canary", nil, &s); err != nil {
			return err
		}
		for send && (s.Last == nil || s.Last.Sent.Before(began)) {
			if time.Since(began) > wait {
				return fmt.Errorf("the event did not come through within %v: %d wait", wait, s.Waiting)
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(200 * time.Millisecond):
			}
			if err := cl.Do(ctx, http.MethodGet, "/v1/canary", nil, &s); err != nil {
				return err
			}
		}
		if w.json {
			if err := printJSON(cmd.OutOrStdout(), s, true); err != nil {
				return err
			}
		} else {
			printCanary(cmd, &s)
		}
		if s.Missing != "" {
			return errors.New(s.Missing)
		}
		return nil
	})
	return c
}

func printCanary(cmd *cobra.Command, s *api.Canary) {
	cmd.Printf("an event every %s, which has %s; %d wait\n", s.Every, s.Within, s.Waiting)
	if s.Last == nil {
		cmd.Println("none has come through yet")
		return
	}
	cmd.Printf("sent %s, found after %v\n", s.Last.Sent.Format(time.RFC3339), s.Last.Found.Sub(s.Last.Sent).Round(time.Millisecond))
	for _, name := range sortedKeys(s.Last.Delivered) {
		cmd.Printf("delivered to %s after %v\n", name, s.Last.Delivered[name].Sub(s.Last.Sent).Round(time.Millisecond))
	}
}
