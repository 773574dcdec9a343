package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/webhook"
)

// secretBytes is the length of a new secret: the output size of HMAC-SHA256, within the 24 to 64 of Standard Webhooks.
const secretBytes = 32

func webhookCommand() *cobra.Command {
	var w stateFlags
	c := &cobra.Command{Use: "webhook", Short: "Test webhook endpoints, make and check signatures, and enable endpoints again", Args: args(cobra.NoArgs),
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
	c.AddCommand(enable, webhookTestCommand(), webhookVerifyCommand(), webhookSchemaCommand())
	return c
}

// webhookTestCommand returns `aidr webhook test`.
func webhookTestCommand() *cobra.Command {
	var file, typ string
	c := &cobra.Command{
		Use: "test NAME --config FILE", Short: "Send a made-up finding to an endpoint and print the exchange", Args: args(cobra.ExactArgs(1)),
		Long: `test sends one message to the endpoint, signed and in the endpoint's format, and prints the request and the answer. The
finding in it is made up: its rule is aidr.test and its severity info. It ignores the endpoint's filter, is not tried again,
and appears in no table. A receiver recognises it by the webhook-id, which is the same each time for one type.

The exit code is 0 if the endpoint accepted the message, and 1 if it did not.`,
		Example: `  aidr webhook test soc --config aidr.yaml
  aidr webhook test pager --config aidr.yaml --type finding.withdrawn   # resolves the alert of the test`,
		RunE: func(cmd *cobra.Command, argv []string) error {
			return testWebhook(cmd, file, argv[0], connectors.EntryType(typ))
		},
	}
	c.Flags().StringVar(&file, "config", "", "configuration file")
	c.Flags().StringVar(&typ, "type", string(connectors.FindingOpened), "type of the change")
	return c
}

// testWebhook sends a made-up change to the endpoint of a configuration.
func testWebhook(cmd *cobra.Command, file, name string, typ connectors.EntryType) error {
	if !slices.Contains(webhook.Types(), typ) {
		return fmt.Errorf("there is no type %s: there are %v", typ, webhook.Types())
	}
	cfg, err := loadConfig(cmd, file)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(cfg.Sinks.Webhooks, func(w config.Webhook) bool { return w.Name == name })
	if at < 0 {
		return fmt.Errorf("%s has no endpoint %q in sinks.webhooks", file, name)
	}
	sink, err := pipeline.BuildWebhook(cfg.Sinks.Webhooks[at], cfg.Links.Base, nil, nil)
	if err != nil {
		return err
	}
	defer sink.Close()
	e := webhook.SampleEntry(typ)
	x, err := sink.Test(cmd.Context(), &e)
	if err != nil {
		return err
	}
	cmd.Println(x.Method)
	for _, header := range slices.Sorted(maps.Keys(x.Headers)) {
		cmd.Printf("%s: %s\n", header, x.Headers.Get(header))
	}
	cmd.Printf("\n%s\n\n", x.Body)
	if !x.Delivered {
		cmd.Printf("not delivered after %s: %s: %s\n", x.Took.Round(time.Millisecond), x.Status, x.Detail)
		return &exit{code: exitFailed}
	}
	cmd.Printf("delivered in %s: %s\n", x.Took.Round(time.Millisecond), x.Status)
	return nil
}

// webhookVerifyCommand returns `aidr webhook verify`.
func webhookVerifyCommand() *cobra.Command {
	var key, id, timestamp, signature string
	var anyTime bool
	c := &cobra.Command{
		Use: "verify [FILE]", Short: "Check the signature of a message that a receiver got", Args: args(cobra.MaximumNArgs(1)),
		Long: `verify checks a message as a receiver has to: the body is that of FILE or of standard input, byte by byte as it was
received, and the headers are given as flags. The key is the secret whsec_..., or the public key whpk_... of an endpoint that
signs with ed25519; it is read from the environment variable AIDR_WEBHOOK_SECRET if --key is not given.`,
		Example: `  aidr webhook verify body.json --id "$ID" --timestamp "$TIMESTAMP" --signature "$SIGNATURE"`,
		RunE: func(cmd *cobra.Command, argv []string) error {
			in := cmd.InOrStdin()
			if len(argv) > 0 {
				f, err := os.Open(argv[0])
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			body, err := io.ReadAll(io.LimitReader(in, maxVerified))
			if err != nil {
				return err
			}
			v, err := webhook.NewVerifier(cmp.Or(key, os.Getenv("AIDR_WEBHOOK_SECRET")))
			if err != nil {
				return err
			}
			h := http.Header{}
			h.Set(webhook.HeaderID, id)
			h.Set(webhook.HeaderTimestamp, timestamp)
			h.Set(webhook.HeaderSignature, signature)
			now := time.Now()
			if seconds, err := strconv.ParseInt(timestamp, 10, 64); err == nil && anyTime {
				now = time.Unix(seconds, 0)
			}
			if err := v.Verify(h, body, now); err != nil {
				return err
			}
			cmd.Println("ok")
			return nil
		},
	}
	c.Flags().StringVar(&key, "key", "", "secret or public key of the endpoint (default $AIDR_WEBHOOK_SECRET)")
	c.Flags().StringVar(&id, "id", "", "header webhook-id")
	c.Flags().StringVar(&timestamp, "timestamp", "", "header webhook-timestamp")
	c.Flags().StringVar(&signature, "signature", "", "header webhook-signature")
	c.Flags().BoolVar(&anyTime, "any-time", false, "accept an old timestamp, which a receiver must refuse")
	return c
}

// maxVerified bounds the body that verify reads, far above webhook.MaxBody.
const maxVerified = 16 << 20

// webhookSchemaCommand returns `aidr webhook schema`.
func webhookSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema FORMAT", Short: "Print the JSON Schema of the bodies of a format", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, argv []string) error {
			b, ok := webhook.Schema(webhook.Format(argv[0]))
			if !ok {
				return fmt.Errorf("there is no schema of %q: the formats are %v, and bodies of a template have the form of the template", argv[0], webhook.Formats())
			}
			_, err := cmd.OutOrStdout().Write(b)
			return err
		},
	}
}
