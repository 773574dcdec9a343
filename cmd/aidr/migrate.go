package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/connectors/clickhouse"
)

func migrateCommand() *cobra.Command {
	var target sqlFlags
	var status, dry, grants bool
	c := &cobra.Command{
		Use: "migrate", Short: "Create or update the tables and views in ClickHouse", Args: args(cobra.NoArgs),
		Long: `migrate creates the database, if it is permitted to, and its tables and views. It records each step in schema_migrations
and can be run again at any time. aidr run does the same at the start unless sinks.clickhouse.migrate is false.

With --status it prints what is applied and what is pending, and exits with 1 if anything is pending. With --dry-run it prints the
statements that it would run. With --grants it prints how an administrator creates the users for analysts, for aidr run and for
aidr migrate, each with the least rights. None of the three changes anything.`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			s, err := target.sink(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			switch {
			case status:
				return migrationStatus(cmd, s)
			case dry:
				return migrationPlan(cmd, s)
			case grants:
				cmd.Print(s.Recipe())
				return nil
			}
			done, err := s.Migrate(cmd.Context())
			if err != nil {
				return err
			}
			for _, m := range done {
				cmd.Printf("applied %v\n", m)
			}
			cmd.Printf("%s is up to date\n", s)
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&target.config, "config", "", "configuration file with the server in sinks.clickhouse")
	f.StringVar(&target.dsn, "dsn", "", "server, as clickhouse://user:password@host:9000/database; overrides --config")
	f.BoolVar(&status, "status", false, "print what is applied and what is pending")
	f.BoolVar(&dry, "dry-run", false, "print the statements that would run")
	f.BoolVar(&grants, "grants", false, "print how to create users with the least rights")
	c.MarkFlagsMutuallyExclusive("status", "dry-run", "grants")
	return c
}

func migrationStatus(cmd *cobra.Command, s *clickhouse.Sink) error {
	all, err := s.Status(cmd.Context())
	if err != nil {
		return err
	}
	pending := 0
	for _, m := range all {
		state := "pending"
		switch {
		case m.Unknown:
			state = "applied " + m.Applied.UTC().Format(time.RFC3339) + " by a later version of aidr"
		case !m.Applied.IsZero():
			state = "applied " + m.Applied.UTC().Format(time.RFC3339)
		default:
			pending++
		}
		cmd.Printf("%-28s %s\n", m.Name, state)
	}
	if pending > 0 {
		return &exit{exitFailed, fmt.Errorf("%d migrations are pending: run aidr migrate", pending)}
	}
	return nil
}

func migrationPlan(cmd *cobra.Command, s *clickhouse.Sink) error {
	plan, err := s.Plan(cmd.Context())
	if err != nil {
		return err
	}
	if len(plan) == 0 {
		cmd.PrintErrf("%s is up to date\n", s)
		return nil
	}
	cmd.Println(strings.Join(plan, ";\n\n") + ";")
	return nil
}
