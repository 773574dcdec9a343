package main

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/output"
)

// templates holds a commented rule of each kind, and over.yaml, a rule over others. The file of a template is named after
// its kind.
//
//go:embed templates/*.yaml
var templates embed.FS

// template returns the template of a kind. ok is false if there is no such kind.
func template(kind string) (text string, ok bool) {
	b, err := templates.ReadFile("templates/" + kind + ".yaml")
	return string(b), err == nil
}

// templateKinds returns the kinds that have a template, sorted.
func templateKinds() (kinds []string) {
	files, err := fs.Glob(templates, "templates/*.yaml")
	if err != nil {
		panic("BUG: " + err.Error())
	}
	for _, f := range files {
		kinds = append(kinds, strings.TrimSuffix(path.Base(f), ".yaml"))
	}
	return kinds
}

func rulesNewCommand() *cobra.Command {
	var force bool
	kinds := strings.Join(templateKinds(), ", ")
	c := &cobra.Command{
		Use: "new KIND [FILE]", Short: "Write a commented rule of a kind to FILE or standard output, to begin with",
		Long: `new writes a rule of a kind, with comments on the keys that the kind has and with tests that pass. Change its id, title,
condition and tests, then run aidr rules test on it. The findings of a template are recorded and not delivered, until its status
is stable.

The kinds are ` + kinds + `. over is a rule over others.`,
		Args: args(cobra.RangeArgs(1, 2)), ValidArgs: templateKinds(),
		RunE: func(cmd *cobra.Command, argv []string) error {
			text, ok := template(argv[0])
			if !ok {
				return usage("there is no kind %q: name one of %s", argv[0], kinds)
			}
			return writeFirst(cmd, argv[1:], text, force, "rule")
		},
	}
	c.Flags().BoolVar(&force, "force", false, "overwrite FILE")
	return c
}

// writeFirst writes a text that users change to a new file, or to standard output without a file or with "-". With force it
// replaces an existing file. Errors name the text by noun.
func writeFirst(cmd *cobra.Command, file []string, text string, force bool, noun string) error {
	if len(file) == 0 || file[0] == "-" {
		_, err := io.WriteString(cmd.OutOrStdout(), text)
		return err
	}
	create := output.CreateNew
	if force {
		create = output.Create
	}
	f, err := create(file[0])
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("write the %s: %w (--force overwrites it)", noun, err)
	}
	if err != nil {
		return fmt.Errorf("write the %s: %w", noun, err)
	}
	defer f.Discard()
	if _, err := io.WriteString(f, text); err != nil {
		return fmt.Errorf("write the %s: %w", noun, err)
	}
	return f.Commit()
}
