package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/config"
)

const (
	// syncs is the number of measured writes. Their median is stable from about a dozen on.
	syncs = 20
	// syncBytes is the size of each write: that of a small checkpoint.
	syncBytes = 4096
	// slowSync is the median from which a disk is slow: half of the default pause between checkpoints is then spent waiting.
	slowSync = 100 * time.Millisecond
	// leastFree is what a disk needs beyond the outbox: State, findings and compactions of the store, in bytes.
	leastFree = 1 << 30
	// storeReserve is the number of free bytes below which the store refuses to write.
	storeReserve = 64 << 20
)

// disk checks the space and the latency of the disk of the state directory.
func (x *Examination) disk(cfg *config.Config) {
	dir := existing(cfg.State.Dir)
	if free, ok := freeBytes(dir); ok {
		need := uint64(leastFree) + uint64(cfg.State.Outbox)
		text := fmt.Sprintf("%.1f GiB are free in %s", float64(free)/(1<<30), dir)
		switch {
		case free < storeReserve:
			x.add(Fail, "disk", "space", text+", and the store writes nothing below 64 MiB", "free space, or move state.dir to another disk")
		case free < need:
			x.add(Warn, "disk", "space", fmt.Sprintf("%s; an outage of the sinks may need %.1f GiB", text, float64(need)/(1<<30)),
				"free space, move state.dir to another disk, or lower state.outbox_mb")
		default:
			x.add(OK, "disk", "space", text, "")
		}
	}
	median, longest, err := syncLatency(dir)
	switch text := fmt.Sprintf("a write of 4 KiB with fsync takes %v, the longest of %d took %v", short(median), syncs, short(longest)); {
	case err != nil:
		x.add(Fail, "disk", "writing", err.Error(), "let the user of aidr own state.dir")
	case median > slowSync:
		x.add(Warn, "disk", "fsync", text+": findings come late", "use a local disk for state.dir, not a network file system")
	default:
		x.add(OK, "disk", "fsync", text, "")
	}
}

func short(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

// existing returns dir, or the nearest folder above it that exists.
func existing(dir string) string {
	for {
		if info, err := os.Stat(dir); err == nil && info.IsDir() || filepath.Dir(dir) == dir {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// syncLatency returns the median and the longest time of a write with fsync to a new file in dir, which it removes.
func syncLatency(dir string) (median, longest time.Duration, err error) {
	f, err := os.CreateTemp(dir, ".aidr-doctor-")
	if err != nil {
		var p *fs.PathError
		if errors.As(err, &p) {
			err = p.Err
		}
		return 0, 0, fmt.Errorf("this user cannot write to %s: %w", dir, err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	block := make([]byte, syncBytes)
	took := make([]time.Duration, syncs)
	for i := range took {
		begin := time.Now()
		if _, err := f.Write(block); err != nil {
			return 0, 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, 0, err
		}
		took[i] = time.Since(begin)
	}
	slices.Sort(took)
	return took[syncs/2], took[syncs-1], nil
}

// clock reports whether the clock of this machine is synchronised, as far as the kernel knows.
func (x *Examination) clock() {
	synchronised, known := clockSynchronised()
	switch {
	case !known:
		x.add(OK, "clock", "", "the system does not report whether it is synchronised", "")
	case !synchronised:
		x.add(Warn, "clock", "", "the kernel reports that it is not synchronised", "run an NTP client, such as chrony; in a virtual machine that its host keeps on time this is harmless")
	default:
		x.add(OK, "clock", "", "it is synchronised", "")
	}
}

func sortedNames(m map[string]api.Component) []string { return slices.Sorted(maps.Keys(m)) }
