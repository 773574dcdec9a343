package main

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/top"
)

const (
	// minTopInterval is the shortest pause between two samples, each of which costs the process a millisecond or two.
	minTopInterval = 100 * time.Millisecond
	// beginScreen and endScreen switch to the second screen of a terminal and back, without and with the cursor.
	beginScreen, endScreen = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
	// home goes to the first line, restOfLine and restOfScreen erase what the last frame left there.
	home, restOfLine, restOfScreen = "\x1b[H", "\x1b[K", "\x1b[J"
)

func topCommand() *cobra.Command {
	var w stateFlags
	var once bool
	every := time.Second
	c := &cobra.Command{
		Use: "top", Short: "Watch the sources, sinks, shards and rules of a running aidr", Args: args(cobra.NoArgs),
		Long: `top shows a running aidr until it is interrupted: what is wrong, then sources with their lag and how far their event time is behind,
sinks with what waits, shards with their load, and the rules that cost the most, as far as they fit on the screen. Rates are those
since the frame before.

With --once, or if the output is no terminal, it prints one frame after one interval. With --json it prints a frame as one line of JSON
every interval.`,
	}
	w.flags(c)
	c.Flags().BoolVar(&once, "once", false, "print one frame and end")
	c.Flags().DurationVar(&every, "interval", every, "time between two frames")
	c.RunE = w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, _ []string) error {
		if every < minTopInterval {
			return usage("--interval %v: it is at least %v", every, minTopInterval)
		}
		out := cmd.OutOrStdout()
		show := func(f *top.Frame) error { return json.NewEncoder(jsonTo(out)).Encode(f) }
		if !w.json {
			f, ok := terminal(out)
			if !ok || once {
				once = true
				show = func(f *top.Frame) error {
					_, err := io.WriteString(out, strings.Join(top.Screen(f, 0, 0, plain), "\n")+"\n")
					return err
				}
			} else {
				io.WriteString(out, beginScreen)
				defer io.WriteString(out, endScreen)
				show = func(frame *top.Frame) error {
					columns, rows, err := term.GetSize(int(f.Fd()))
					if err != nil {
						return err
					}
					_, err = io.WriteString(out, home+strings.Join(top.Screen(frame, columns, rows, plain), restOfLine+"\r\n")+restOfLine+restOfScreen)
					return err
				}
			}
		}
		return watchTop(ctx, cl, every, once, show)
	})
	return c
}

// watchTop takes samples and shows a frame for each but the first, until ctx ends.
func watchTop(ctx context.Context, cl *api.Client, every time.Duration, once bool, show func(*top.Frame) error) error {
	before, err := top.Take(ctx, cl, time.Now())
	if err != nil {
		return err
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		s, err := top.Take(ctx, cl, time.Now())
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if err := show(top.Between(before, s)); err != nil || once {
			return err
		}
		before = s
	}
}
