package main

import (
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/cmd/aidr/sidecar"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/decision"
)

// decideCommand returns `aidr decide`.
func decideCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "decide --config FILE", Short: "Answer a gateway from the containments of another aidr, through its outages too", Args: args(cobra.NoArgs),
		Long: `decide runs beside a gateway and answers whether a call may pass: over HTTP, Envoy's ext_authz and LiteLLM's guardrail API, as
aidr run does under decisions. It follows the containment table of that process and answers from memory, so an answer costs
microseconds and an outage of the other process changes nothing but the age in the answers. Calls that are held for a person
are asked about at the other process. SIGTERM and SIGINT end it.

Its file has the keys from, decisions (as in aidr run), cache and log:

  from: {url: "https://aidr.example.com:8473", token: "${AIDR_TOKEN}"}
  cache: /var/lib/aidr/decide.json          # what is known survives a restart
  decisions:
    listen: 127.0.0.1:8473
    open: gateway                           # the gateway of this machine needs no token`,
		RunE: func(cmd *cobra.Command, _ []string) error { return decide(cmd, file) },
	}
	c.Flags().StringVar(&file, "config", "", "configuration file")
	_ = c.MarkFlagRequired("config")
	return c
}

func decide(cmd *cobra.Command, file string) error {
	cfg, problems := config.LoadDecide(file)
	printConfigProblems(cmd.ErrOrStderr(), problems)
	if cfg == nil {
		return &exit{code: exitFailed}
	}
	log, err := newLogger(cmd.ErrOrStderr(), cfg.Log)
	if err != nil {
		return err
	}
	client, err := followClient(cfg.From.TLS)
	if err != nil {
		return err
	}
	side := sidecar.New(sidecar.Options{URL: cfg.From.URL, Token: cfg.From.Token, Client: client, Cache: cfg.Cache, Log: log})
	d := &cfg.Decisions
	s, err := decision.New(decision.Options{
		Table: func() decision.Table { return side }, Points: d.DecisionPoints(), Open: d.Open, Log: log, Registry: prometheus.NewRegistry(),
		Health: side.Health,
	})
	if err != nil {
		return err
	}
	secure, err := pipeline.DecisionTLS(d, log)
	if err != nil {
		return err
	}
	l, err := s.Listen(decision.Addresses{HTTP: d.Listen, GRPC: d.GRPC, TLS: secure})
	if err != nil {
		return err
	}
	defer l.Close()
	log.Info("answering the gateway", "http", addressOf(l.HTTP), "grpc", addressOf(l.GRPC), "from", cfg.From.URL)
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	side.Run(ctx)
	return nil
}

// addressOf returns an address as text, "" for none.
func addressOf(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

// followTime bounds the connection to the other process.
const followTime = 10 * time.Second

// followClient returns the client that follows another process. A stream lasts, so only its beginning has a time limit.
func followClient(t *config.TLS) (*http.Client, error) {
	transport := &http.Transport{
		DialContext: (&net.Dialer{Timeout: followTime}).DialContext, TLSHandshakeTimeout: followTime, ResponseHeaderTimeout: followTime,
	}
	if t != nil {
		c, err := (&connectors.TLS{CA: t.CA, Cert: t.Cert, Key: t.Key, ServerName: t.ServerName}).Config()
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig = c
	}
	return &http.Client{Transport: transport}, nil
}
