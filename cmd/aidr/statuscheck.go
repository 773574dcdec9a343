package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/config"
)

// maxReady is the most that check reads of /readyz, in bytes.
const maxReady = 1 << 20

// check prints the health on one line. It returns an error if aidr is down or does not run; a degraded aidr works, and
// restarting it would not help. A standby, and a process that waits for its brokers, have no state directory open and are
// asked at http.listen if the configuration is named.
func (w *stateFlags) check(ctx context.Context, cmd *cobra.Command) error {
	status, err := w.ready(ctx, cmd)
	if err != nil {
		return &exit{exitFailed, err}
	}
	if status == api.Down {
		return &exit{exitFailed, fmt.Errorf("aidr is %s: `aidr status` has the reasons", status)}
	}
	cmd.Println(status)
	return nil
}

// ready returns the health of the running process.
func (w *stateFlags) ready(ctx context.Context, cmd *cobra.Command) (string, error) {
	if w.config != "" {
		if cfg, _ := config.Load(w.config); cfg != nil && cfg.HTTP.Listen != "" && cfg.HTTP.TLS == nil {
			return readyOf(ctx, cfg.HTTP.Listen)
		}
	}
	c, err := w.client(cmd)
	if err != nil {
		return "", err
	}
	defer c.Close()
	var s api.Status
	if err := c.Do(ctx, http.MethodGet, "/v1/status", nil, &s); err != nil {
		return "", err
	}
	if !s.Running {
		return "", errors.New("no aidr has this state directory open")
	}
	return s.Status, nil
}

// readyOf returns the health that the listener of this machine reports. A wildcard address, such as 0.0.0.0, is asked on loopback.
func readyOf(ctx context.Context, listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return "", err
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return "", fmt.Errorf("aidr does not answer at http.listen: %w", err)
	}
	defer resp.Body.Close()
	var s struct{ Status string }
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxReady)).Decode(&s); err != nil {
		return "", fmt.Errorf("the answer of /readyz: %w", err)
	}
	return s.Status, nil
}
