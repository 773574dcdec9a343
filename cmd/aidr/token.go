package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/schema"
)

func tokenCommand() *cobra.Command {
	var w stateFlags
	c := &cobra.Command{
		Use: "token", Short: "Make, list and revoke tokens for the control API", Args: args(cobra.NoArgs),
		Long: `token manages the tokens with which programs and people call the control API at control.listen, as
Authorization: Bearer aidr_... Each token has scopes:

  read      see findings, inventory, State, containments and the audit
  triage    acknowledge, assign, close and snooze findings
  contain   contain and release
  approve   answer proposals and held calls
  rules     clear the State of rules
  admin     tokens, sinks, dead letters, automation

and the roles viewer (read), analyst (read, triage), responder (these, contain, approve) and admin (all) name sets of them. The secret
is shown once; the state directory keeps its hash. Without a running aidr the change is made in the state directory.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	w.flags(c)
	c.AddCommand(tokenCreateCommand(&w), tokenListCommand(&w), tokenRevokeCommand(&w))
	return c
}

func tokenCreateCommand(w *stateFlags) *cobra.Command {
	var b api.TokenRequest
	c := &cobra.Command{
		Use: "create NAME --scope ROLE|SCOPE,...", Short: "Make a token and print it once", Args: args(cobra.ExactArgs(1)),
		Example: `  aidr token create soar --scope responder --for 90d
  aidr token create dashboard --scope viewer --tenant acme`,
		PreRunE: func(*cobra.Command, []string) error {
			if _, err := access.ParseScopes(b.Scopes); err != nil {
				return usage("--scope: %v", err)
			}
			return nil
		},
	}
	c.Flags().StringSliceVar(&b.Scopes, "scope", nil, "roles and scopes, with commas between them")
	c.Flags().StringVar(&b.Tenant, "tenant", "", "the only tenant that the token sees and changes")
	c.Flags().StringVar(&b.For, "for", "", "how long it is valid, such as 90d (default: until it is revoked)")
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, argv []string) error {
		b.Name = argv[0]
		var t api.NewToken
		if err := post(ctx, cl, "/v1/tokens", b, &t); err != nil {
			return err
		}
		if w.json {
			return printJSON(cmd.OutOrStdout(), t, true)
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "token %s (%s), scopes %s, valid %s; it is shown only now:\n", t.Name, t.ID, scopeList(t.Scopes), validity(&t.Token))
		cmd.Println(t.Secret)
		return nil
	})
	return c
}

func scopeList(scopes []access.Scope) string {
	var names []string
	for _, s := range scopes {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

// validity returns until when a token is valid.
func validity(t *access.Token) string {
	switch {
	case t.Revoked != 0:
		return fmt.Sprintf("revoked %s by %s", t.Revoked, plain(t.RevokedBy))
	case t.Expires == 0:
		return "until it is revoked"
	case t.Expires <= schema.InstantOf(time.Now()):
		return "expired " + t.Expires.String()
	}
	return "until " + t.Expires.String()
}

func tokenListCommand(w *stateFlags) *cobra.Command {
	c := &cobra.Command{Use: "ls", Short: "List tokens, those that were revoked in the last 90 days too", Args: args(cobra.NoArgs)}
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, _ []string) error {
		out := cmd.OutOrStdout()
		if w.json {
			return printLines(ctx, out, cl, "/v1/tokens", nil)
		}
		t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
		fmt.Fprintln(t, "ID\tNAME\tSCOPES\tTENANT\tCREATED\tBY\tVALID")
		err := cl.Lines(ctx, "/v1/tokens", nil, func(line []byte) bool {
			var x access.Token
			if json.Unmarshal(line, &x) != nil {
				return false
			}
			tenant := "all"
			if x.Tenant != "" {
				tenant = plain(x.Tenant)
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", x.ID, plain(x.Name), scopeList(x.Scopes), tenant, x.Created, plain(x.By), validity(&x))
			return true
		})
		if err != nil {
			return err
		}
		return t.Flush()
	})
	return c
}

func tokenRevokeCommand(w *stateFlags) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "revoke ID|NAME --reason TEXT", Short: "Make a token invalid at once, and end its requests", Args: args(cobra.ExactArgs(1)),
		PreRunE: func(*cobra.Command, []string) error { return needReason(reason) },
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the audit")
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, argv []string) error {
		var t access.Token
		if err := post(ctx, cl, "/v1/tokens/"+url.PathEscape(argv[0])+"/revoke", map[string]string{"reason": reason}, &t); err != nil {
			return err
		}
		if w.json {
			return printJSON(cmd.OutOrStdout(), t, true)
		}
		cmd.Printf("%s (%s): %s\n", t.Name, t.ID, validity(&t))
		return nil
	})
	return c
}
