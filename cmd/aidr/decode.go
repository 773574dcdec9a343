package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/output"
	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/file"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/content"
	"github.com/aidr-engine/aidr/schema/decode"
	"github.com/aidr-engine/aidr/schema/formats"
)

func decodeCommand() *cobra.Command {
	var deadLetters string
	var identity, explain bool
	var from reading
	c := &cobra.Command{
		Use:   "decode [flags] FILE...",
		Short: "Print the normalised events of log files, one JSON object per line",
		Long: `decode prints the events that the engine reads from your logs: one JSON object per line, with the flat dotted names of
schema/FIELDS.md. Missing fields are left out, times are RFC 3339 in UTC, durations are nanoseconds. "-" is standard input.
gzip and zstd files, UTF-16, container files of Avro and directories are read too, and OTLP in protobuf: one message, or messages with
their length before them. Records that cannot be decoded are counted at the end, and written to
--dead-letters if it is given. Elements that are skipped on purpose, such as spans that do not concern an agent, are counted at
the end by dataset and reason.

--explain prints on standard error how each record was read, one JSON object per line: the envelopes around the record, its
format and the keys that identified it, the field that named its agent, the paths that are not read (except inside lists),
and the field errors: values of impossible types, and duplicate keys.

` + readingHelp + `
Events are then redacted as in findings, as by aidr tap.

Formats: ` + formatNames(),
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, paths []string) (failed error) {
			opts, err := decodeOptions(cmd, &from)
			if err != nil {
				return err
			}
			out := bufio.NewWriterSize(jsonTo(cmd.OutOrStdout()), 256<<10)
			d, err := newDecodePrinter(out, opts, identity)
			if err != nil {
				return err
			}
			d.exposed, d.redact = from.config != "", from.cfg.Redact
			if deadLetters != "" {
				f, err := output.Create(deadLetters)
				if err != nil {
					return err
				}
				// The letters found so far are kept too if the command fails or is interrupted.
				defer func() { failed = errors.Join(failed, f.Commit()) }()
				d.dead = json.NewEncoder(f)
				d.dead.SetEscapeHTML(false)
			}
			if explain {
				d.explain(jsonTo(cmd.ErrOrStderr()))
			}
			err = d.files(cmd.Context(), paths, cmd.InOrStdin())
			err = errors.Join(err, out.Flush())
			d.summary(cmd.ErrOrStderr())
			return err
		},
	}
	from.flags(c)
	c.Flags().StringVar(&deadLetters, "dead-letters", "",
		"output file of records that cannot be decoded: JSON lines with file, offset, reason, detail, body")
	c.Flags().BoolVar(&explain, "explain", false, "print on standard error how each record was read")
	c.Flags().BoolVar(&identity, "identity", false, "add the identity of each event as _identity")
	return c
}

// decodeOptions returns the options for decoding the files, with all fields wanted.
func decodeOptions(cmd *cobra.Command, from *reading) (decode.Options, error) {
	if err := from.load(cmd); err != nil {
		return decode.Options{}, err
	}
	in, err := from.input(cmd)
	if err != nil {
		return decode.Options{}, err
	}
	in.Decode.Wanted = schema.Wanted{Fields: schema.AllFields()}
	if from.config == "" {
		return in.Decode, nil
	}
	// The aliases of agents are in the registry, which is loaded with the rules.
	set, err := loadSet(cmd, from.ruleFiles(nil, "", ""))
	if err != nil {
		return decode.Options{}, err
	}
	in.Decode.Aliases = set.Aliases()
	return in.Decode, nil
}

func formatNames() string {
	names := []string{"auto"}
	for _, f := range decode.Formats() {
		names = append(names, f.Name)
	}
	return strings.Join(names, ", ") + ", and those of field maps (aidr formats lists all)."
}

// decodePrinter is a connectors.Reader that prints events instead of evaluating them.
type decodePrinter struct {
	out      *bufio.Writer
	decoder  *decode.Decoder
	handler  decode.Handler
	identity bool
	exposed  bool              // print events redacted as in findings
	redact   *schema.Redaction // nil: only credentials are redacted
	redacted schema.Event      // reused for each event
	dead     *json.Encoder     // nil: dead letters are only counted
	reasons  map[string]int    // dead letters by reason
	skipped  map[[2]string]int // elements that were skipped, by dataset and reason
	records  int
	events   int
	offset   int64  // of the current record
	name     string // of the current file
	line     []byte
	err      error // first error of writing
}

func newDecodePrinter(out *bufio.Writer, opts decode.Options, identity bool) (*decodePrinter, error) {
	dec, err := decode.New(opts)
	if err != nil {
		return nil, err
	}
	d := &decodePrinter{out: out, decoder: dec, identity: identity, reasons: map[string]int{}, skipped: map[[2]string]int{}}
	d.handler = decode.Handler{
		Event: d.event, Dead: d.deadLetter, FieldError: func(string, string) {},
		Skipped: func(dataset, reason string) { d.skipped[[2]string{dataset, reason}]++ },
	}
	return d, nil
}

// files prints the files one after another, in the order of the paths and, within a directory, of their names. A source
// reads its files concurrently, so each file gets a source of its own. A file that cannot be read does not prevent the
// others from being read.
func (d *decodePrinter) files(ctx context.Context, paths []string, stdin io.Reader) error {
	files, err := file.List(paths, nil)
	if err != nil {
		return err
	}
	var failed []error
	for _, path := range files {
		if how := delimiterOf(path); how != notOTLP {
			if err := d.protobuf(ctx, path, how); err != nil {
				failed = append(failed, err)
			}
			if d.err != nil || ctx.Err() != nil {
				return d.err
			}
			continue
		}
		src, err := file.New(file.Config{Name: "decode", Paths: []string{path}, Stdin: stdin})
		if err != nil {
			return err
		}
		if err := src.Run(ctx, d); err != nil {
			failed = append(failed, err)
		}
		if d.err != nil || ctx.Err() != nil {
			return d.err // the output is closed, or the user interrupted
		}
	}
	return errors.Join(failed...)
}

// protobuf prints the messages of an OTLP file in protobuf.
func (d *decodePrinter) protobuf(ctx context.Context, path string, how delimiter) error {
	return readDelimited(path, how, func(text string, offset int64) error {
		record := connectors.Record{End: len(text), Offset: offset}
		b := &connectors.Batch{Partition: connectors.Partition{Topic: path}, Raw: text, Records: []connectors.Record{record}}
		return errors.Join(d.Read(ctx, b), ctx.Err())
	})
}

func (d *decodePrinter) event(e *schema.Event) {
	d.events++
	if d.exposed {
		pipeline.Expose(&d.redacted, e, d.redact)
		e = &d.redacted
	}
	d.line = append(formats.AppendEvent(d.line[:0], e, d.identity), '\n')
	if _, err := d.out.Write(d.line); err != nil && d.err == nil {
		d.err = err
	}
}

// deadLine is a line of --dead-letters. Its JSON names are a contract.
type deadLine struct {
	File   string `json:"file"`
	Offset int64  `json:"offset"`
	Index  int    `json:"index"`
	Reason string `json:"reason"`
	Detail string `json:"detail"`
	Body   string `json:"body"`
}

func (d *decodePrinter) deadLetter(x decode.Dead) {
	d.reasons[x.Reason]++
	if d.dead == nil {
		return
	}
	line := deadLine{d.name, d.offset, x.Index, x.Reason, x.Detail, d.redact.DeadLetters().Expose(x.Body, content.Redact)}
	if err := d.dead.Encode(line); err != nil && d.err == nil {
		d.err = err
	}
}

// summary prints the counts of dead letters and of elements that were passed over. A run without events also prints how many
// records it read, so that it never ends without a word.
func (d *decodePrinter) summary(w io.Writer) {
	if len(d.reasons) > 0 {
		total, list := countsByName(d.reasons)
		fmt.Fprintf(w, "aidr: %d events; %d records could not be decoded: %s\n", d.events, total, list)
	}
	if len(d.skipped) > 0 {
		byName := map[string]int{}
		for s, n := range d.skipped {
			byName[s[0]+" "+s[1]] = n
		}
		total, list := countsByName(byName)
		fmt.Fprintf(w, "aidr: %d events; %d elements were passed over on purpose: %s\n", d.events, total, list)
	}
	if d.events > 0 || len(d.reasons)+len(d.skipped) > 0 {
		return
	}
	if d.records == 0 {
		fmt.Fprintln(w, "aidr: 0 events: the input holds no records: is it the right file, and is it empty?")
		return
	}
	fmt.Fprintf(w, "aidr: 0 events from %d records: they hold nothing that is an activity; --explain shows how each was read\n", d.records)
}

// countsByName returns the sum of the counts, and the counts with their names, sorted by name.
func countsByName(counts map[string]int) (total int, list string) {
	var parts []string
	for name, n := range counts {
		parts = append(parts, fmt.Sprintf("%s %d", name, n))
		total += n
	}
	sort.Strings(parts)
	return total, strings.Join(parts, ", ")
}

// Assigned implements connectors.Reader.
func (d *decodePrinter) Assigned(connectors.Partition) (int64, bool) { return 0, false }

// Read implements connectors.Reader. Files are read one at a time, so calls do not overlap.
func (d *decodePrinter) Read(_ context.Context, b *connectors.Batch) error {
	d.name = b.Partition.Topic
	for _, r := range b.Records {
		d.records++
		d.offset = r.Offset
		raw := b.Raw[r.Start:r.End]
		if r.TooLarge {
			d.deadLetter(decode.Dead{Reason: "too_large", Detail: "the record is over the size cap; its beginning is kept", Body: raw})
			continue
		}
		d.decoder.Decode(raw, decode.Meta{Pos: schema.Position{Topic: d.name, Offset: r.Offset}, Time: r.Time}, &d.handler)
	}
	return d.err
}

// Revoked implements connectors.Reader.
func (d *decodePrinter) Revoked(context.Context, connectors.Partition) error { return nil }

// Standby implements connectors.Reader.
func (d *decodePrinter) Standby(string, string) {}
