package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/backup"
	"github.com/aidr-engine/aidr/engine/store"
)

// stateBackupCommand returns `aidr state backup`.
func stateBackupCommand(w *stateFlags) *cobra.Command {
	var to, key string
	var keep int
	c := &cobra.Command{
		Use: "backup --to DIR", Short: "Back up the state directory, also while aidr runs", Args: args(cobra.NoArgs),
		Long: `backup copies the state directory as of its last checkpoint into a repository: State, positions, findings, the outbox, the
containment table, the audit. A running aidr goes on meanwhile. The repository is a folder, best on another disk or a mounted
bucket. Files that an earlier backup has are not copied again.

With --encrypt-for files are encrypted for a public key of age (https://age-encryption.org), so that this machine cannot read
them. The list of files and their hashes is not encrypted.

A restored aidr reads the records since the backup again, so the topics must keep them for longer than the time between two
backups.`,
		Example: `  aidr state backup --config aidr.yaml --to /mnt/backup/aidr --encrypt-for age1... --keep 14`,
		PreRunE: func(*cobra.Command, []string) error {
			if to == "" {
				return usage("--to is missing: name the folder of the backups")
			}
			return nil
		},
		RunE: w.with(func(ctx context.Context, cmd *cobra.Command, cl *api.Client, _ []string) (err error) {
			r := backup.Repository{Dir: to}
			if key != "" {
				if r.Recipients, err = backup.Recipients(key); err != nil {
					return err
				}
			}
			var made api.Copy
			if err := cl.Do(ctx, http.MethodPost, "/v1/state/copy", nil, &made); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, os.RemoveAll(made.Dir)) }()
			s, err := r.Add(made.Dir, time.Now(), version())
			if err != nil {
				return err
			}
			if keep > 0 {
				if _, err := r.Prune(keep); err != nil {
					return fmt.Errorf("remove old backups: %w", err)
				}
			}
			if w.json {
				return printJSON(cmd.OutOrStdout(), s, true)
			}
			cmd.Printf("%s: %d files, %d KiB, of which %d KiB are new\n", s.Name, len(s.Files), s.Bytes>>10, s.Added>>10)
			return nil
		}),
	}
	c.Flags().StringVar(&to, "to", "", "folder of the backups")
	c.Flags().StringVar(&key, "encrypt-for", "", "public key of age, or a file with such keys")
	c.Flags().IntVar(&keep, "keep", 0, "keep only this many of the latest backups (default: all)")
	return c
}

// backupFlags are the flags of the commands that read a repository.
type backupFlags struct{ from, name, identity string }

func (b *backupFlags) flags(c *cobra.Command) {
	c.Flags().StringVar(&b.from, "from", "", "folder of the backups")
	c.Flags().StringVar(&b.name, "backup", "", "name of the backup, as `aidr state backups` lists it (default: the latest)")
	c.Flags().StringVar(&b.identity, "identity", "", "file with the private key of age, for encrypted backups")
}

// open returns the repository and the backup that the flags name.
func (b *backupFlags) open() (*backup.Repository, *backup.Snapshot, error) {
	if b.from == "" {
		return nil, nil, usage("--from is missing: name the folder of the backups")
	}
	r := &backup.Repository{Dir: b.from}
	if b.identity != "" {
		keys, err := backup.Identities(b.identity)
		if err != nil {
			return nil, nil, err
		}
		r.Identities = keys
	}
	s, err := r.Find(b.name)
	return r, s, err
}

// stateBackupsCommand returns `aidr state backups`.
func stateBackupsCommand() *cobra.Command {
	var from string
	c := &cobra.Command{
		Use: "backups --from DIR", Short: "List the backups in a folder, the oldest first", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if from == "" {
				return usage("--from is missing: name the folder of the backups")
			}
			list, err := (&backup.Repository{Dir: from}).List()
			if err != nil {
				return err
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			fmt.Fprintln(t, "BACKUP\tFILES\tKIB\tNEW KIB\tAIDR")
			for _, s := range list {
				fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%s\n", s.Name, len(s.Files), s.Bytes>>10, s.Added>>10, plain(s.Version))
			}
			return t.Flush()
		},
	}
	c.Flags().StringVar(&from, "from", "", "folder of the backups")
	return c
}

// stateVerifyCommand returns `aidr state verify`.
func stateVerifyCommand() *cobra.Command {
	var b backupFlags
	c := &cobra.Command{
		Use: "verify --from DIR", Short: "Check that a backup is whole and can be opened", Args: args(cobra.NoArgs),
		Long: `verify restores a backup into a temporary directory, compares every file with its hash, opens the store and removes the
directory. It needs as much free space as the backup has bytes. It exits with 1 if the backup cannot be used.`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			r, s, err := b.open()
			if err != nil {
				return err
			}
			dir, err := os.MkdirTemp("", "aidr-verify-")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
			if err := r.Restore(s, dir); err != nil {
				return err
			}
			st, err := store.Open(dir, store.Options{})
			if err != nil {
				return err
			}
			seq, _, _, err := st.Last()
			if err = errors.Join(err, st.Close()); err != nil {
				return err
			}
			cmd.Printf("%s: %d files are whole, the store opens at checkpoint %d\n", s.Name, len(s.Files), seq)
			return nil
		},
	}
	b.flags(c)
	return c
}

// stateRestoreCommand returns `aidr state restore`.
func stateRestoreCommand() *cobra.Command {
	var b backupFlags
	var to string
	c := &cobra.Command{
		Use: "restore --from DIR --to STATE", Short: "Restore a backup into a new state directory", Args: args(cobra.NoArgs),
		Long: `restore writes a backup into a state directory that is empty or missing, and begins a new incarnation of it: revisions of
findings continue above all that the former directory may have delivered, so no receiver sees one id and revision with two
bodies. Then start aidr run on it: it reads the records since the backup again and corrects the findings that differ.

Containments that were made after the backup are not in it. Until a person confirms with aidr contain --confirm-complete that
there are none, gateways are answered with unknown.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if to == "" {
				return usage("--to is missing: name the new state directory")
			}
			r, s, err := b.open()
			if err != nil {
				return err
			}
			if err := r.Restore(s, to); err != nil {
				return err
			}
			incarnation, err := store.Renew(to, time.Now())
			if err != nil {
				return fmt.Errorf("begin a new incarnation: %w: do not run aidr on %s, remove it and restore again", err, to)
			}
			cmd.Printf("restored %s into %s as incarnation %d: start `aidr run` on it, then `aidr contain --confirm-complete`\n", s.Name, to, incarnation)
			return nil
		},
	}
	b.flags(c)
	c.Flags().StringVar(&to, "to", "", "the new state directory")
	return c
}
