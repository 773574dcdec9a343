package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/output"
	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/sigma"
)

func rulesImportCommand() *cobra.Command {
	c := &cobra.Command{Use: "import", Short: "Translate the rules of other products", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	c.AddCommand(importSigmaCommand())
	return c
}

func importSigmaCommand() *cobra.Command {
	var out string
	var force bool
	c := &cobra.Command{
		Use: "sigma --out DIR [flags] PATH...", Short: "Translate Sigma rules and correlations into rule files",
		Long: `sigma reads Sigma rules from files and folders (*.yml, *.yaml; several documents in a file, separated by ---) and writes a
rule file for each of them to the folder given by --out. Correlations and the rules that they name must be among the PATHs.

Translated are rules for the logs that AIDR reads: AWS CloudTrail, Azure (activitylogs, auditlogs, signinlogs,
riskdetection), GCP audit, Okta, GitHub, Kubernetes audit, Microsoft 365 audit, and the categories webserver and proxy for
the logs of gateways. A field of a rule becomes the field of the normalised event that holds the same value, or else the path
of the original record (raw.requestParameters.policyArn).

  values       texts in any case, with the wildcards * and ? and their escapes, numbers, true, false, null, ''
  modifiers    contains, startswith, endswith, all, cased, neq, exists, re (i, m, s), cidr, lt, lte, gt, gte, fieldref,
               windash, wide (utf16le), utf16be, utf16, base64, base64offset, minute, hour, day, month, year
  selections   mappings, lists of mappings, and texts without a field, which are searched in the texts of the event
  conditions   and, or, not, brackets, 1 of, any of, all of, with * and them
  correlations event_count, value_count, temporal, temporal_ordered; group-by, aliases, timespan, gt, gte, generate

The level becomes the severity. A rule that is stable or in test becomes stable, an experimental one shadow (its findings are
recorded and not delivered), a deprecated or unsupported one disabled, and one that only feeds correlations block. Tags of
ATT&CK are kept, other tags and the rule's id stand below x. (x.sigma.ID).

Each rule that cannot be translated is named with the place, the reason and what to do about it, and nothing is written for
it. The files that are written load without errors; aidr rules check warns that they have no tests: add them with
aidr rules test. A file that exists with other contents is left as it is without --force. The reference of the translation is
the comment of package rules/sigma.

Exit code 0: every rule is translated, 1: none is, or a file cannot be read or written, 3: some are not.`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, paths []string) error {
			if out == "" {
				return usage("--out is missing: name the folder for the rule files")
			}
			files, err := sigmaFiles(paths)
			if err != nil {
				return err
			}
			return importSigma(cmd, sigma.Import(files), out, force)
		},
	}
	c.Flags().StringVar(&out, "out", "", "folder for the rule files; it is made if it does not exist")
	c.Flags().BoolVar(&force, "force", false, "overwrite files that exist with other contents")
	return c
}

// sigmaFiles reads files, and the YAML files below folders.
func sigmaFiles(paths []string) (files []sigma.Source, err error) {
	add := func(fsys fs.FS, p, name string) error {
		text, err := doc.ReadFile(fsys, p, doc.MaxSize)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if text != nil {
			files = append(files, sigma.Source{Name: name, Text: text})
		}
		return nil
	}
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", p, doc.Cause(err))
		}
		if !info.IsDir() {
			if err := add(os.DirFS(filepath.Dir(p)), filepath.Base(p), p); err != nil {
				return nil, err
			}
			continue
		}
		fsys := os.DirFS(p)
		for name, err := range doc.Files(fsys, "") {
			if err == nil {
				err = add(fsys, name, path.Join(p, name))
			}
			if err != nil {
				return nil, err
			}
		}
	}
	if len(files) == 0 {
		return nil, errors.New("the paths hold no YAML files: name the files or folders of Sigma rules")
	}
	return files, nil
}

// importSigma writes the translated rules and prints the others.
func importSigma(cmd *cobra.Command, r *sigma.Result, dir string, force bool) error {
	if len(r.Files) > 0 {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return fmt.Errorf("make the folder for the rules: %w", err)
		}
	}
	var errs []error
	written := 0
	for _, f := range r.Files {
		if err := writeRule(filepath.Join(dir, f.Name), []byte(f.Text), force); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.From, err))
			continue
		}
		written++
	}
	for _, f := range r.Refused {
		for _, p := range f.Problems {
			printProblem(cmd.ErrOrStderr(), false, p.String(), p.Snippet)
		}
	}
	cmd.Printf("%d Sigma rules: %d translated to %s, %d of them correlations, %d not translated\n", r.Rules, written, dir, r.Correlations, len(r.Refused))
	switch {
	case len(errs) > 0:
		return errors.Join(errs...)
	case len(r.Files) == 0:
		return &exit{code: exitFailed}
	case len(r.Refused) > 0:
		return &exit{code: exitWarnings}
	}
	return nil
}

// writeRule writes a rule file. One with the same contents may exist.
func writeRule(name string, text []byte, force bool) error {
	if force {
		return output.Write(name, text)
	}
	f, err := output.CreateNew(name)
	if errors.Is(err, fs.ErrExist) {
		old, readErr := os.ReadFile(name)
		if readErr == nil && bytes.Equal(old, text) {
			return nil
		}
		return fmt.Errorf("%s exists with other contents (--force overwrites it)", name)
	}
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := f.Write(text); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return f.Commit()
}
