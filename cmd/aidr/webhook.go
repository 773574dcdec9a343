package main

import (
	"crypto/rand"
	"encoding/base64"

	"github.com/spf13/cobra"
)

// secretBytes is the length of a new secret: the output size of HMAC-SHA256, within the 24 to 64 of Standard Webhooks.
const secretBytes = 32

func webhookCommand() *cobra.Command {
	c := &cobra.Command{Use: "webhook", Short: "Helpers for webhook endpoints", Args: args(cobra.NoArgs),
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
	return c
}
