package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/connectors/clickhouse"
	"github.com/aidr-engine/aidr/connectors/clickhouse/host"
)

func clickhouseCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "clickhouse", Short: "Install and serve a local ClickHouse engine for evaluation", Args: args(cobra.NoArgs),
		Long: `A single-node ClickHouse engine for evaluation and tests: ClickHouse's own engine and protocol in a child process, without
administration. In production use a ClickHouse server or ClickHouse Cloud, with its DSN in sinks.clickhouse.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	install := &cobra.Command{
		Use: "install", Args: args(cobra.NoArgs),
		Short: fmt.Sprintf("Download the engine (%d MB, needs npm), verify its checksum and unpack it (%d MB)",
			host.DownloadSize/1e6, host.LibrarySize/1e6),
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := installEngine(cmd.Context(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			cmd.Println(path)
			return nil
		},
	}
	c.AddCommand(install, clickhouseServeCommand())
	return c
}

// installEngine installs the engine unless it is there already. On a terminal it shows the progress on one line.
func installEngine(ctx context.Context, w io.Writer) (string, error) {
	if path, err := host.Installed(); err == nil {
		return path, nil
	}
	fmt.Fprintf(w, "installing ClickHouse %s: %d MB to download, %d MB on disk\n", host.Version, host.DownloadSize/1e6, host.LibrarySize/1e6)
	if _, ok := terminal(w); !ok {
		return host.Install(ctx, "", nil)
	}
	line := progressLine{w: w}
	defer line.end()
	return host.Install(ctx, "", line.show)
}

// progressEvery is the shortest pause between two updates of a progress line.
const progressEvery = 100 * time.Millisecond

// progressLine shows progress on the last line of a terminal. Each stage gets a line of its own.
type progressLine struct {
	w     io.Writer
	stage string // "" before the first update
	last  time.Time
}

func (l *progressLine) show(p host.Progress) {
	if p.Stage != l.stage {
		l.end()
		l.stage, l.last = p.Stage, time.Time{}
	}
	if now := time.Now(); p.Done >= p.Total || now.Sub(l.last) >= progressEvery {
		l.last = now
		fmt.Fprintf(l.w, "\r%s %d / %d MB", p.Stage, p.Done/1e6, p.Total/1e6)
	}
}

// end ends the line of the current stage.
func (l *progressLine) end() {
	if l.stage != "" {
		fmt.Fprintln(l.w)
	}
}

func clickhouseServeCommand() *cobra.Command {
	var opts host.Options
	c := &cobra.Command{
		Use: "serve", Short: "Serve the engine on loopback until interrupted, and print its DSN", Args: args(cobra.NoArgs),
		Long: `serve runs the engine and prints its DSN. If the engine's process ends, which failed logins can cause, serve starts it again
at the same address with the same data and logs why.`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if _, err := host.Installed(); err != nil {
				return err
			}
			opts.Log = cmd.ErrOrStderr()
			log, err := newLogger(cmd.ErrOrStderr(), config.Log{Format: "text", Level: "info"})
			if err != nil {
				return err
			}
			e, err := host.Supervise(cmd.Context(), opts, log)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, e.Stop()) }()
			cmd.Println(e.DSN)
			sink, err := clickhouse.New(clickhouse.Config{DSN: e.DSN})
			if err != nil {
				return err
			}
			_, err = sink.Migrate(cmd.Context())
			if err = errors.Join(err, sink.Close()); err != nil {
				return err
			}
			if e.HTTPAddr != "" {
				cmd.PrintErrf("HTTP on http://%s\n", e.HTTPAddr)
			}
			cmd.PrintErrf("data in %s; ready since %s; interrupt to stop\n", opts.Dir, time.Now().Format(time.TimeOnly))
			<-cmd.Context().Done()
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&opts.Dir, "dir", "clickhouse", "directory of the engine's data and configuration")
	f.IntVar(&opts.Port, "port", 9000, "port of the native protocol (0: any free port)")
	f.BoolVar(&opts.HTTP, "http", false, "serve HTTP too")
	f.IntVar(&opts.HTTPPort, "http-port", 8123, "port of HTTP (0: any free port)")
	f.StringVar(&opts.User, "user", host.DefaultUser, "name of the user")
	f.StringVar(&opts.Password, "password", "", "password of the user (default: a generated one)")
	return c
}
