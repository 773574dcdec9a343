package pipeline

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/backtest"
	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/cmd/aidr/output"
	"github.com/aidr-engine/aidr/connectors/file"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/library"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/content"
)

const (
	// trialTime is how long a trial runs over history. With trialCPU it is the limit of its CPU time.
	trialTime = 18 * time.Second
	// trialCPU is the number of cores that a trial uses.
	trialCPU = 1
	// maxDraft is the largest text of a rule, in bytes.
	maxDraft = 100 << 10
	// draftName is the name of the text of a trial in problems, and of its folder, and draftFile that of its file.
	draftName = "draft"
	draftFile = "rule.yaml"
)

// errTrying is returned while another trial runs.
var errTrying = errors.New("another rule is tried at this moment: try again in a minute")

// liveRule returns the rule that runs now with an id, or nil.
func (p *Pipeline) liveRule(id string) (set *Set, r *rules.Rule) {
	p.mu.Lock()
	set = p.set
	p.mu.Unlock()
	i := slices.IndexFunc(set.All, func(r *rules.Rule) bool { return r.ID == id })
	if i < 0 {
		return set, nil
	}
	return set, set.All[i]
}

// ruleText returns the text of the file of a rule that runs now.
func (p *Pipeline) ruleText(id string) (*api.RuleText, error) {
	_, r := p.liveRule(id)
	if r == nil || r.File == "" {
		return nil, fmt.Errorf("rule %q is not among the rules of files that run now", schema.Truncate(id, 100))
	}
	text, err := RuleText(r.File)
	if err != nil {
		return nil, fmt.Errorf("rule %q: read %s: %w", id, r.File, err)
	}
	return &api.RuleText{ID: id, File: r.File, Text: string(text), Drafts: p.cfg.Console.Drafts != ""}, nil
}

// tryRule checks the text of a rule, and runs it over the last hours beside the rule that runs now.
func (p *Pipeline) tryRule(ctx context.Context, t api.RuleTrial) (*api.RuleTried, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	if !p.trying.TryLock() {
		return nil, errTrying
	}
	defer p.trying.Unlock()
	out := &api.RuleTried{Drafts: p.cfg.Console.Drafts != ""}
	set, r, err := p.loadDraft(t.Text, out)
	if err != nil || r == nil {
		return out, err
	}
	live, running := p.liveRule(r.ID)
	if running != nil {
		if text, err := RuleText(running.File); err == nil {
			out.Live = string(text)
		}
	}
	if t.Hours == 0 {
		return out, nil
	}
	opts := backtest.Options{Set: set.Alone(r), CPU: trialCPU, Redact: content.Redact, Redaction: p.live.Load().Redact}
	if running != nil {
		opts.Against = live.Alone(running)
	}
	if err := p.trialInputs(&opts, out, now().Add(-time.Duration(t.Hours)*time.Hour)); err != nil || len(opts.Inputs) == 0 {
		return out, err
	}
	ctx, cancel := context.WithTimeout(ctx, trialTime)
	defer cancel()
	if out.Report, err = backtest.Run(ctx, opts); out.Report == nil {
		return out, err
	}
	return out, nil
}

// loadDraft loads the rules of the site with the text in place of the rule that has its id. r is nil if the text has problems.
func (p *Pipeline) loadDraft(text string, out *api.RuleTried) (set *Set, r *rules.Rule, err error) {
	if len(text) > maxDraft {
		return nil, nil, fmt.Errorf("the text has %d bytes: a rule has at most %d", len(text), maxDraft)
	}
	dir, err := os.MkdirTemp("", "aidr-draft-")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir)
	if err := output.Write(filepath.Join(dir, draftFile), []byte(text)); err != nil {
		return nil, nil, err
	}
	out.ID = idOf(text)
	place := draftName + "/" + draftFile
	if _, running := p.liveRule(out.ID); running != nil && running.File != "" {
		place = running.File
	}
	cfg := p.live.Load()
	opts := rules.Options{Lists: cfg.Lists, Agents: cfg.Agents, Families: families(cfg.Maps), Drafts: true, Today: now()}
	folders, replaced := []rules.Folder(nil), false
	for _, f := range siteFolders(cfg.Rules) {
		x, ok := replace(f, place, filepath.Join(dir, draftFile))
		folders, replaced = append(folders, x), replaced || ok
	}
	if !replaced {
		place = draftName + "/" + draftFile
		folders = append(folders, rules.Folder{Name: draftName, FS: os.DirFS(dir)})
	}
	set, problems := rules.LoadFolders(opts, folders...)
	for i := range problems {
		x := problems[i]
		if x.File != place && (set != nil || x.Warning) {
			continue
		}
		if x.File == place {
			x.File = draftName
		}
		out.Problems = append(out.Problems, x.String())
	}
	if set == nil {
		return nil, nil, nil
	}
	i := slices.IndexFunc(set.All, func(r *rules.Rule) bool { return r.File == place })
	if i < 0 {
		out.Problems = append(out.Problems, "the text has no rule")
		return nil, nil, nil
	}
	r = set.All[i]
	out.ID, out.Stage, out.Valid = r.ID, string(r.Stage), true
	return set, r, nil
}

// idOf returns the id of the text of a rule by its line, "" if it has none. The loader reads it properly.
func idOf(text string) string {
	for line := range strings.Lines(text) {
		if id, ok := strings.CutPrefix(line, "id:"); ok {
			id, _, _ = strings.Cut(id, " #")
			return strings.Trim(strings.TrimSpace(id), `"'`)
		}
	}
	return ""
}

// siteFolders returns the folders of the paths of rules.
func siteFolders(paths []string) (out []rules.Folder) {
	shipped := rules.Folder{Name: Shipped, FS: library.FS}
	if len(paths) == 0 {
		return []rules.Folder{shipped}
	}
	for _, path := range paths {
		if path == Library {
			out = append(out, shipped)
		} else {
			out = append(out, rules.Folder{Name: path})
		}
	}
	return out
}

// replace returns a folder in which a file, by its name in problems, has the content of another file; ok is false if the folder does not
// have it.
func replace(f rules.Folder, file, by string) (out rules.Folder, ok bool) {
	fsys := f.FS
	if fsys == nil {
		if info, err := os.Stat(f.Name); err != nil || !info.IsDir() {
			return f, false
		}
		fsys = os.DirFS(f.Name)
	}
	rel, ok := strings.CutPrefix(file, path.Clean(filepath.ToSlash(f.Name))+"/")
	if _, err := fs.Stat(fsys, rel); !ok || err != nil {
		return f, false
	}
	return rules.Folder{Name: f.Name, FS: replaced{fsys, rel, by}}, true
}

// replaced is a file system in which one file has the content of another.
type replaced struct {
	fs.FS
	path, by string
}

// Open implements fs.FS.
func (r replaced) Open(name string) (fs.File, error) {
	if name == r.path {
		return os.Open(r.by)
	}
	return r.FS.Open(name)
}

// trialInputs adds the sources of the configuration to a trial, from an instant on. They are read without joining a consumer group.
func (p *Pipeline) trialInputs(opts *backtest.Options, out *api.RuleTried, since time.Time) error {
	cfg := p.live.Load()
	for _, s := range cfg.Sources {
		if s.File != nil && !rereadable(s) {
			out.Missing = fmt.Sprintf("source %q keeps no records that can be read again", s.Name)
			continue
		}
		in, err := MeasuredInput(cfg, s.Name, since.UTC().Format(time.RFC3339), slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		opts.Inputs = append(opts.Inputs, in)
		out.Sources = append(out.Sources, s.Name)
	}
	if len(opts.Inputs) == 0 && out.Missing == "" {
		out.Missing = "there is no source whose records can be read again: a topic of Kafka, or files"
	}
	return nil
}

// rereadable reports whether the files of a source can be read again: standard input and pipes cannot.
func rereadable(s config.Source) bool {
	logs, err := file.List(s.File.Paths, nil)
	return err == nil && !slices.ContainsFunc(logs, func(path string) bool {
		info, err := os.Stat(path)
		return err != nil || !info.Mode().IsRegular()
	})
}

// draftRule writes a draft into the folder of drafts: checked, under the rule's id, in one step, and never through a link.
func (p *Pipeline) draftRule(_ context.Context, text string) (*api.RuleDraft, error) {
	if !p.trying.TryLock() {
		return nil, errTrying
	}
	defer p.trying.Unlock()
	checked := &api.RuleTried{}
	_, r, err := p.loadDraft(text, checked)
	switch {
	case err != nil:
		return nil, err
	case r == nil:
		return nil, fmt.Errorf("the text does not load: %s", strings.Join(checked.Problems, "; "))
	case r.Stage != rules.StageDraft:
		return nil, fmt.Errorf("rule %q has the status %s: write `status: draft`, so that the file has no effect where it is", r.ID, r.Stage)
	}
	return writeDraft(p.cfg.Console.Drafts, r.ID, text)
}

// writeDraft writes a file ID.yaml into a folder.
func writeDraft(folder, id, text string) (*api.RuleDraft, error) {
	info, err := os.Lstat(folder)
	if err != nil {
		return nil, fmt.Errorf("console.drafts: %w: make the folder", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("console.drafts: %s is not a folder, or a link: name the folder itself", folder)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, fmt.Errorf("console.drafts: %w", err)
	}
	defer root.Close()
	name := id + ".yaml"
	old, err := root.Lstat(name)
	if err == nil && !old.Mode().IsRegular() {
		return nil, fmt.Errorf("%s in the folder of drafts is not a file: remove it", name)
	}
	replaced := err == nil
	random := make([]byte, 8)
	rand.Read(random) // never fails
	part := "." + hex.EncodeToString(random) + ".part"
	f, err := root.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write the draft: %w", err)
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = root.Rename(part, name)
	}
	if err != nil {
		root.Remove(part)
		return nil, fmt.Errorf("write the draft: %w", err)
	}
	return &api.RuleDraft{ID: id, File: filepath.Join(folder, name), Replaced: replaced}, nil
}
