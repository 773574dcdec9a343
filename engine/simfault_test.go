package engine

import (
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// fault does one thing that can happen to a process, its machine, its network, its brokers or its sinks.
func (w *simulation) fault() {
	if w.life == nil {
		w.start()
		return
	}
	switch w.r.IntN(12) {
	case 0, 1, 2:
		w.kill()
		w.down()
	case 3:
		w.restart()
		w.down()
	case 4, 5:
		after, count, cause, reads := w.r.IntN(200), 1+w.r.IntN(30), simCauses[w.r.IntN(2)], w.r.IntN(4) == 0
		w.note("disk: operations %d to %d from now fail: %v, reads %v", after, after+count, cause, reads)
		w.life.disk.fail(after, count, cause, reads)
	case 6:
		w.fullDisk()
	case 7:
		w.note("network: cut")
		w.net.cut(nil)
	case 8:
		n := w.r.IntN(60)
		w.note("network: operation %d from now breaks its connection", n)
		w.net.breakAfter(n)
	case 9:
		pause := time.Duration(w.r.IntN(40_000)) * time.Millisecond
		w.note("network: silent for %v", pause)
		w.net.silence()
		time.Sleep(pause)
		w.net.heal()
	case 10:
		w.note("brokers: leaders and coordinators move")
		w.cluster.ShufflePartitionLeaders()
		w.cluster.RehashCoordinators()
	case 11:
		w.mood()
	}
	if w.r.IntN(6) == 0 {
		w.jump()
	}
}

// down lets the process be down for a while, often for longer than its session in the group.
func (w *simulation) down() {
	if w.r.IntN(3) > 0 {
		time.Sleep(time.Duration(w.r.IntN(15_000)) * time.Millisecond)
		w.start()
	}
}

func (w *simulation) fullDisk() {
	pause := time.Duration(w.r.IntN(20_000)) * time.Millisecond
	w.note("disk: full for %v", pause)
	w.life.disk.mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 20, TotalBytes: 1 << 40, UsedBytes: 1 << 40})
	time.Sleep(pause)
	w.life.disk.mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 40, TotalBytes: 1 << 40})
}

func (w *simulation) mood() {
	s := w.sinks[w.r.IntN(len(w.sinks))]
	m := simMood{
		unreachable: w.r.IntN(3) == 0, lies: pickInt(w.r, 0, 1, 2, 3), refuses: pickInt(w.r, 0, 2, 5),
		slow: time.Duration(pickInt(w.r, 0, 0, 3, 40)) * time.Second,
	}
	w.note("sink %s: %+v", s.name, m)
	s.set(m)
}

// jump sets the machine's clock. Its error stays below what the delay of the dataset leaves for it.
func (w *simulation) jump() {
	skew := time.Duration(w.r.IntN(30_000)-15_000) * time.Millisecond
	w.setSkew(skew)
	w.note("clock: wrong by %v", skew)
}

func (w *simulation) setSkew(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.skew = d
}
