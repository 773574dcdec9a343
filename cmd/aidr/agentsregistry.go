package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/agents"
	"github.com/aidr-engine/aidr/rules/site"
)

// exitViolations is the exit code of agents diff if agents do what nobody approved.
const exitViolations = 4

// registryCommands returns the commands about the registry of agents, which belong to aidr agents.
func registryCommands() []*cobra.Command {
	print := func(use, short, long string, text func() []byte) *cobra.Command {
		return &cobra.Command{Use: use, Short: short, Long: long, Args: args(cobra.NoArgs), RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(text())
			return err
		}}
	}
	return []*cobra.Command{
		agentsLearnCommand(), agentsDiffCommand(), agentsCheckCommand(),
		print("docs", "Print the reference page of the registry of agents (agents.yaml)",
			"docs prints every key of agents.yaml, and agent.* of the rule language, as Markdown.", site.Reference),
		print("schema", "Print the JSON Schema of the registry of agents, for editors",
			"schema prints the JSON Schema of agents.yaml. An editor completes and checks the file with it.", site.JSONSchema),
	}
}

func agentsCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check FILE", Short: "Check a registry of agents; print every problem", Args: args(cobra.ExactArgs(1)),
		Long: `check reads a registry and prints all problems, each as file:line:col: key: cause, and the number of entries by status.

Exit code 0: ok, 1: errors, 3: only warnings.`,
		RunE: func(cmd *cobra.Command, argv []string) error {
			registry, problems, err := parseRegistry(cmd, argv[0])
			if err != nil {
				return err
			}
			number := map[site.Status]int{}
			for _, e := range registry.Entries() {
				number[e.Status]++
			}
			var parts []string
			for _, s := range site.Statuses() {
				if n := number[s]; n > 0 {
					parts = append(parts, fmt.Sprintf("%d %s", n, s))
				}
			}
			cmd.Printf("%d agents: %s\n", len(registry.Entries()), orNothing(strings.Join(parts, ", ")))
			if problems > 0 {
				return &exit{code: exitWarnings}
			}
			return nil
		},
	}
}

func orNothing(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func agentsLearnCommand() *cobra.Command {
	var o observedFlags
	var out string
	var force, strict bool
	var without []string
	c := &cobra.Command{
		Use: "learn [flags] [FILE...]", Short: "Write a registry of the agents that were observed, to be reviewed",
		Long: `learn writes a registry (agents.yaml) with an entry for each agent that was observed: its names, and the tools, MCP servers,
models, routes, hosts, cloud actions, networks, workflows and credentials that it used, with counts and times. Every entry has
the status proposed, which approves nothing. Review each entry, trim its lists, set its owner, and change the status to active;
aidr agents diff then reports what is outside of it.

` + observedHelp + `

Text out of logs is only ever a quoted scalar in ASCII, and a learnt value is exact: * and ? in it have no meaning. The output
depends on the inventory alone, so two runs on the same logs give the same bytes. Values that are too long, or held a
credential, are left out and counted (left_out). Credentials that last for a session are not listed, nor is any other
credential of such an agent.

With a registry (--registry, or that of --config) agents that have an entry there are left out.`,
		Example: "  aidr agents learn --config aidr.yaml --days 14 -o proposed.yaml\n  aidr agents learn -o agents.yaml litellm.jsonl.gz kong/",
		RunE: func(cmd *cobra.Command, files []string) error {
			opts := agents.LearnOptions{Strict: strict, All: o.all}
			var err error
			if opts.Within, err = o.within(); err != nil {
				return err
			}
			if opts.Without, err = kindsNamed(without); err != nil {
				return err
			}
			if err := o.load(cmd, files); err != nil {
				return err
			}
			if opts.Calls, err = o.calls(cmd); err != nil {
				return err
			}
			registry := o.registryFile()
			if registry != "" {
				if opts.Known, _, err = parseRegistry(cmd, registry); err != nil {
					return err
				}
			}
			observed, err := o.read(cmd, files, registry)
			if err != nil {
				return err
			}
			learnt, err := agents.Learn(observed, opts)
			if err != nil {
				return err
			}
			learntSummary(cmd.ErrOrStderr(), learnt)
			return writeFirst(cmd, []string{out}, string(learnt.YAML), force, "registry")
		},
	}
	o.flags(c)
	f := c.Flags()
	f.StringVarP(&out, "output", "o", "-", "output file of the registry, - for standard output")
	f.BoolVar(&force, "force", false, "overwrite the output file")
	f.StringVar(&o.registry, "registry", "", "registry whose agents are left out (default: that of --config)")
	f.BoolVar(&strict, "strict", false, "also write empty lists: an agent that used nothing of a kind may then use nothing of it")
	f.StringSliceVar(&without, "without", nil, "kinds for which no list is written, such as workflow,network")
	return c
}

// kindsNamed returns the kinds with the singular words.
func kindsNamed(names []string) (out []site.Kind, err error) {
	var known []string
	for _, k := range site.Kinds() {
		known = append(known, k.String())
	}
	for _, name := range names {
		k, ok := site.KindNamed(name)
		if !ok {
			return nil, usage("--without %q: name kinds among %s", name, strings.Join(known, ", "))
		}
		out = append(out, k)
	}
	return out, nil
}

// learntSummary prints the number of entries, and the agents that have none with the reasons.
func learntSummary(w io.Writer, l *agents.Learnt) {
	fmt.Fprintf(w, "aidr: %d agents proposed", l.Agents)
	for _, left := range []struct {
		n   int
		why string
	}{
		{l.Registered, "registered already"}, {l.Audit, "only in audit trails (--all adds them)"},
		{l.Addresses, "known by their address alone"}, {l.Unfit, "with an id that is not fit for a registry"},
	} {
		if left.n > 0 {
			fmt.Fprintf(w, ", %d %s", left.n, left.why)
		}
	}
	fmt.Fprintln(w)
}

func agentsDiffCommand() *cobra.Command {
	var o observedFlags
	var asJSON bool
	c := &cobra.Command{
		Use: "diff [flags] [FILE...]", Short: "Compare the registry of agents with what was observed",
		Long: `diff compares a registry (--registry, or that of --config) with what was observed, and prints the differences by kind.

Violations, in which an agent does what nobody approved:
  shadow_agent       it acts, and has no entry
  proposed_agent     it acts, and its entry is only proposed
  retired_agent      it acts, and its entry is suspended or retired
  expired_agent      it acts after its last day
  owner_left         it acts after its owner left
  outside            it uses what its lists do not have
  shared_credential  several agents present one credential

Work for the keeper of the registry:
  unused_grant       a list has what the agent does not use
  unseen_agent       the entry is active, and the agent is not seen
  no_owner           the entry is active and has no owner

` + observedHelp + `

The latest event takes the place of a clock: days are compared with it, and --days counts back from it. Of a network the
inventory keeps the prefix (/24 or /48), and its first address is compared.

Exit code 0: no differences, 3: only work for the keeper, 4: violations; 1: the comparison failed, 2: wrong command line.`,
		Example: "  aidr agents diff --config aidr.yaml\n  aidr agents diff --registry agents.yaml --json logs/*.jsonl.gz",
		RunE: func(cmd *cobra.Command, files []string) error {
			opts := agents.DiffOptions{All: o.all}
			var err error
			if opts.Within, err = o.within(); err != nil {
				return err
			}
			if err := o.load(cmd, files); err != nil {
				return err
			}
			if opts.Calls, err = o.calls(cmd); err != nil {
				return err
			}
			file := o.registryFile()
			if file == "" {
				return usage("there is no registry to compare with: name one with --registry, or a configuration with --config")
			}
			registry, _, err := parseRegistry(cmd, file)
			if err != nil {
				return err
			}
			observed, err := o.read(cmd, files, file)
			if err != nil {
				return err
			}
			return printDifferences(cmd.OutOrStdout(), file, agents.Diff(registry, observed, opts), asJSON)
		},
	}
	o.flags(c)
	c.Flags().StringVar(&o.registry, "registry", "", "registry to compare with (default: that of --config)")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, one difference per line")
	return c
}

// printDifferences prints differences and returns the exit code that they mean.
func printDifferences(w io.Writer, file string, all []agents.Difference, asJSON bool) error {
	code := exitOK
	enc := json.NewEncoder(jsonTo(w))
	enc.SetEscapeHTML(false)
	for i := range all {
		x := &all[i]
		if code = max(code, exitWarnings); x.Violation {
			code = exitViolations
		}
		if asJSON {
			if err := enc.Encode(x); err != nil {
				return err
			}
			continue
		}
		if i == 0 || all[i-1].Kind != x.Kind {
			fmt.Fprintf(w, "%s: %s\n", x.Kind, x.Kind.Title())
		}
		place := ""
		if x.Line > 0 {
			place = fmt.Sprintf("  (%s:%d)", plainLine(file), x.Line)
		}
		fmt.Fprintf(w, "  %s%s\n", plainLine(x.String()), place)
	}
	if len(all) == 0 && !asJSON {
		fmt.Fprintln(w, "no differences")
	}
	if code != exitOK {
		return &exit{code: code}
	}
	return nil
}
