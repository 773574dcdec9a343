package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/aidr-engine/aidr/connectors/clickhouse"
	"github.com/aidr-engine/aidr/connectors/clickhouse/host"
)

func clickhouseCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "clickhouse", Short: "Install and serve a local ClickHouse engine, for evaluation", Args: args(cobra.NoArgs),
		Long: `A single-node ClickHouse engine for evaluation and tests: ClickHouse's own engine and protocol in a child process, nothing
to administer. Production is a ClickHouse server or cloud: give its DSN to sinks.clickhouse.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	install := &cobra.Command{
		Use: "install", Short: fmt.Sprintf("Fetch the engine (%d MB, needs npm), verify its checksum and unpack it (%d MB)", host.DownloadSize/1e6, host.LibrarySize/1e6),
		Args: args(cobra.NoArgs),
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

// installEngine fetches the engine with a progress bar.
func installEngine(ctx context.Context, w io.Writer) (string, error) {
	if path, err := host.Installed(); err == nil {
		return path, nil
	}
	fmt.Fprintf(w, "fetching ClickHouse %s: %d MB to fetch, %d MB on disk\n", host.Version, host.DownloadSize/1e6, host.LibrarySize/1e6)
	p := mpb.NewWithContext(ctx, mpb.WithOutput(w), mpb.WithWidth(50))
	bars := map[string]*mpb.Bar{}
	path, err := host.Install(ctx, "", func(at host.Progress) {
		bar := bars[at.Stage]
		if bar == nil {
			bar = p.AddBar(at.Total, mpb.PrependDecorators(decor.Name(at.Stage+" ")), mpb.AppendDecorators(decor.CountersKibiByte("% .1f / % .1f")))
			bars[at.Stage] = bar
		}
		bar.SetTotal(at.Total, false)
		bar.SetCurrent(at.Done)
	})
	for _, bar := range bars {
		if err == nil {
			bar.SetTotal(-1, true)
		} else {
			bar.Abort(false)
		}
	}
	p.Wait()
	return path, err
}

func clickhouseServeCommand() *cobra.Command {
	var o host.Options
	c := &cobra.Command{
		Use: "serve", Short: "Serve the engine on loopback until interrupted, and print its DSN", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if _, err := host.Installed(); err != nil {
				return err
			}
			o.Log = cmd.ErrOrStderr()
			e, err := host.Start(cmd.Context(), o)
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
			cmd.PrintErrf("data in %s; ready since %s; interrupt to stop\n", o.Dir, time.Now().Format(time.TimeOnly))
			select {
			case <-cmd.Context().Done():
				return nil
			case <-e.Exited():
				return errors.New("the engine ended by itself: see its messages above")
			}
		},
	}
	f := c.Flags()
	f.StringVar(&o.Dir, "dir", "clickhouse", "directory of its data and configuration")
	f.IntVar(&o.Port, "port", 9000, "port of the native protocol, 0: any free one")
	f.BoolVar(&o.HTTP, "http", false, "listen for HTTP too")
	f.IntVar(&o.HTTPPort, "http-port", 8123, "port for HTTP, 0: any free one")
	f.StringVar(&o.User, "user", host.DefaultUser, "the user")
	f.StringVar(&o.Password, "password", "", "its password (default: a generated one)")
	return c
}
