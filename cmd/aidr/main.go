// Command aidr is AI Detection and Response over logs.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/aidr-engine/aidr/connectors/clickhouse/host"
)

// Exit codes; scripts and CI rely on them.
const (
	exitOK       = 0
	exitFailed   = 1 // it failed, or a check found something
	exitUsage    = 2
	exitWarnings = 3 // a check found warnings only
)

// exit is an error that carries its exit code. One without a text has said what it had to say already.
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

// usage returns an error of wrong use of a command.
func usage(format string, args ...any) error {
	return &exit{exitUsage, fmt.Errorf(format, args...)}
}

func main() {
	host.Main() // this process may be the host of the embedded ClickHouse: then this does not return
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

// run runs one command line and returns the exit code.
func run(ctx context.Context, args []string) int {
	cmd := root()
	cmd.SetOut(os.Stdout) // cobra's own choice for Printf is standard error
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
		fmt.Fprintf(cmd.ErrOrStderr(), "aidr: %s\n", plainLines(text)) // it may quote a log
		if code == exitUsage {
			fmt.Fprintln(cmd.ErrOrStderr(), "aidr: see the command's --help")
		}
	}
	return code
}
