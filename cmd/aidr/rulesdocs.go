package main

import (
	"cmp"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/output"
	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/rules"
)

func rulesDocsCommand() *cobra.Command {
	var files pipeline.RuleFiles
	var dir string
	c := &cobra.Command{
		Use: "docs --out FOLDER [DIR...]", Short: "Write pages in Markdown about rules, made from their files",
		Long: `docs writes a page for each folder of rules, with a section for each rule: what it finds, why that matters, what to do, its
condition, parameters, false positives, tags and tests, and README.md with an index. Without DIR, docs describes the shipped
rules. Two runs write the same bytes.`,
		RunE: func(cmd *cobra.Command, paths []string) error {
			if dir == "" {
				return usage("name the folder of the pages with --out")
			}
			files.Paths, files.Drafts = paths, true
			set, err := loadSet(cmd, files)
			if err != nil {
				return err
			}
			pages, err := rulePages(set.All, pipeline.RuleText)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return fmt.Errorf("make the folder of the pages: %w", err)
			}
			for _, p := range pages {
				if err := output.Write(filepath.Join(dir, p.name), []byte(p.text)); err != nil {
					return err
				}
			}
			cmd.Printf("%d pages about %d rules\n", len(pages), len(set.All))
			return nil
		},
	}
	ruleFlags(c, &files)
	c.Flags().StringVar(&dir, "out", "", "folder of the pages")
	return c
}

// rulePage is one page about rules.
type rulePage struct{ name, text string }

// rulePages returns the page of each folder of rules, and the index first. Rules are sorted by id.
func rulePages(all []*rules.Rule, text func(file string) ([]byte, error)) ([]rulePage, error) {
	byFamily := map[string][]*rules.Rule{}
	var names []string
	for _, r := range all {
		name := pageName(path.Base(path.Dir(filepath.ToSlash(r.File))))
		if byFamily[name] == nil {
			names = append(names, name)
		}
		byFamily[name] = append(byFamily[name], r)
	}
	slices.Sort(names)
	var index strings.Builder
	fmt.Fprintf(&index, "# Rules\n\n%d rules. Made by `aidr rules docs` from the rule files.\n", len(all))
	var pages []rulePage
	for _, name := range names {
		var page strings.Builder
		fmt.Fprintf(&page, "# Rules: %s\n", escapeMarkdown(name))
		fmt.Fprintf(&index, "\n## [%s](%s.md)\n\n| rule | severity | finds |\n|---|---|---|\n", escapeMarkdown(name), name)
		slices.SortFunc(byFamily[name], func(a, b *rules.Rule) int { return cmp.Compare(a.ID, b.ID) })
		for _, r := range byFamily[name] {
			src, err := text(r.File)
			if err != nil {
				return nil, fmt.Errorf("read the rule %s: %w", r.ID, err)
			}
			writeSection(&page, r, string(src))
			fmt.Fprintf(&index, "| [%s](%s.md#%s) | %s | %s |\n", r.ID, name, strings.ReplaceAll(r.ID, ".", ""), r.Severity, escapeMarkdown(r.Title))
		}
		pages = append(pages, rulePage{name + ".md", page.String()})
	}
	return append([]rulePage{{"README.md", index.String()}}, pages...), nil
}

// pageName makes the name of a folder safe as the name of a file and in a link.
func pageName(folder string) string {
	name := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			return c
		}
		return '-'
	}, folder)
	if strings.EqualFold(name, "readme") || strings.Trim(name, "-") == "" {
		name = "rules"
	}
	return name
}

// writeSection writes the section of a rule.
func writeSection(b *strings.Builder, r *rules.Rule, src string) {
	fmt.Fprintf(b, "\n## %s\n\n**%s**\n\n", r.ID, escapeMarkdown(r.Title))
	fmt.Fprintf(b, "Severity %s, confidence %d, %s, kind %s, version %d.\n", r.Severity, r.Confidence, r.Stage, r.Kind, r.Version)
	paragraph := func(title, text string) {
		if text != "" {
			fmt.Fprintf(b, "\n%s%s\n", title, escapeMarkdown(text))
		}
	}
	list := func(title, mark string, items []string) {
		if len(items) == 0 {
			return
		}
		fmt.Fprintf(b, "\n%s\n\n", title)
		for _, x := range items {
			fmt.Fprintf(b, "%s %s\n", mark, escapeMarkdown(x))
		}
	}
	paragraph("", r.Description)
	paragraph("**Why it matters.** ", r.Why)
	list("**What to do**", "1.", r.Triage)
	fence := "```"
	for strings.Contains(src, fence) {
		fence += "`"
	}
	fmt.Fprintf(b, "\n**Condition**\n\n%syaml\n%s%s\n", fence, conditionLines(src), fence)
	list("**Parameters**, with their defaults above", "-", r.Params)
	list("**Known false positives**", "-", r.FalsePositives)
	paragraph("**Expected.** ", r.Expected)
	titles := map[string]string{}
	for _, t := range rules.Tags() {
		titles[t.ID] = t.Title
	}
	var tags, tests []string
	for _, t := range r.Tags {
		tags = append(tags, strings.TrimSpace(t+" "+titles[t]))
	}
	for _, t := range r.Tests {
		verdict := "stays quiet"
		if len(t.Findings) > 0 {
			verdict = fmt.Sprintf("finds %d", len(t.Findings))
		}
		tests = append(tests, t.Name+": "+verdict)
	}
	list("**Tags**", "-", tags)
	list("**References**", "-", r.References)
	list("**Tests**", "-", tests)
}

// described are the keys of a rule file that a section shows in other forms.
var described = []string{
	"id", "version", "title", "description", "severity", "confidence", "status", "tags", "references", "false_positives", "why", "triage",
	"expected", "tests",
}

// conditionLines returns the lines of a rule file without those of the described keys and the comments before the first key.
func conditionLines(src string) string {
	var b strings.Builder
	shown := false
	for line := range strings.Lines(strings.ReplaceAll(src, "\r\n", "\n")) {
		if first := line[0]; first != ' ' && first != '\n' && first != '#' && first != '-' {
			key, _, _ := strings.Cut(line, ":")
			shown = !slices.Contains(described, strings.Trim(key, `"'`))
		}
		if shown {
			b.WriteString(line)
		}
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// escapeMarkdown returns a text of one line that Markdown shows as it is.
func escapeMarkdown(s string) string {
	var b strings.Builder
	for _, c := range plain(strings.Join(strings.Fields(s), " ")) {
		if strings.ContainsRune("\\`*_{}[]<>()#+!|~&", c) {
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	return b.String()
}
