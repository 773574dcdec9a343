// Command aidr is AI Detection and Response over logs.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // time zones for rules, if the system has none, as in a container without a distribution

	_ "golang.org/x/crypto/x509roots/fallback" // certificates of authorities, if the system has none

	"github.com/aidr-engine/aidr/connectors/clickhouse/host"
)

// Exit codes; scripts and CI rely on them.
const (
	exitOK       = 0
	exitFailed   = 1 // the command failed, or a check found errors
	exitUsage    = 2 // the command line is wrong
	exitWarnings = 3 // a check found only warnings
)

// exit is an error with an exit code. If err is nil, the command has already printed its problems.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}
func (e *exit) Unwrap() error { return e.err }

// usage returns an error for a wrong command line.
func usage(format string, args ...any) error {
	return &exit{exitUsage, fmt.Errorf(format, args...)}
}

func main() {
	host.Main() // does not return if this process was started as the host of the embedded ClickHouse
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once, even during a write to a pipe without a reader
	os.Exit(run(ctx, os.Args[1:]))
}

// run executes a command line and returns the exit code.
func run(ctx context.Context, args []string) int {
	cmd := root()
	cmd.SetOut(os.Stdout) // cobra's default for Printf is standard error
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	code := exitFailed
	var e *exit
	if errors.As(err, &e) {
		code = e.code
	}
	if text := err.Error(); text != "" {
		fmt.Fprintf(cmd.ErrOrStderr(), "aidr: %s\n", plainLines(text)) // the text may quote a log
		if code == exitUsage {
			fmt.Fprintln(cmd.ErrOrStderr(), "aidr: see the command's --help")
		}
	}
	return code
}
