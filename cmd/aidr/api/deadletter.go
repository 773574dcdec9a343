package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// replayBatch is the number of dead letters that are replayed with one checkpoint.
	replayBatch = 200
	// maxErrors is the number of errors that a Selected lists.
	maxErrors = 10
)

// Replayed is the outcome of replaying or dropping a dead letter.
type Replayed struct {
	Seq    uint64 `json:"seq"`
	Result string `json:"result"`
	Error  string `json:"error,omitempty"` // why it failed; the dead letter is kept
}

// Selected is the outcome of replaying or dropping the dead letters that a query selects.
type Selected struct {
	DryRun  bool        `json:"dry_run"` // nothing was done
	Matched int         `json:"matched"`
	Done    int         `json:"done"`
	Failed  int         `json:"failed"`
	Groups  []DeadGroup `json:"groups,omitempty"` // of the matched ones, sorted
	Errors  []string    `json:"errors,omitempty"` // the first errors of those that failed
}

// DeadGroup counts dead letters of one kind, sink and reason.
type DeadGroup struct {
	Kind   schema.DeadKind `json:"kind"`
	Sink   string          `json:"sink,omitempty"`
	Reason string          `json:"reason"`
	Count  int             `json:"count"`
}

// deadFilter returns the query's kind, reason, sink, since, until and limit.
func deadFilter(r *http.Request) (f store.DeadFilter, err error) {
	q := r.URL.Query()
	f = store.DeadFilter{Kind: schema.DeadKind(q.Get("kind")), Reason: q.Get("reason"), Sink: q.Get("sink")}
	if err := oneOf(r, "kind", schema.DeadKinds()...); err != nil {
		return f, err
	}
	if f.Since, f.Until, err = span(r); err != nil {
		return f, err
	}
	f.Limit, err = limit(r)
	return f, err
}

func (h *handler) deadLetters(w http.ResponseWriter, r *http.Request) {
	f, err := deadFilter(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	enc := lines(w)
	err = h.store.DeadLetters(f, func(l *store.DeadLetter) bool {
		if r.URL.Query().Get("body") == "" {
			l.Body = ""
		}
		return enc.Encode(l) == nil
	})
	if err != nil {
		enc.Encode(failure{err.Error()})
	}
}

// letter returns the dead letter with the number in the path. If it fails, it answers the request and returns nil.
func (h *handler) letter(w http.ResponseWriter, r *http.Request) *store.DeadLetter {
	seq, err := strconv.ParseUint(r.PathValue("seq"), 10, 64)
	if err != nil {
		refuse(w, http.StatusBadRequest, fmt.Errorf("dead letter %q: not a number: see aidr dlq ls", r.PathValue("seq")))
		return nil
	}
	l, ok, err := h.store.DeadLetter(seq)
	switch {
	case err != nil:
		refuse(w, http.StatusInternalServerError, err)
	case !ok:
		refuse(w, http.StatusNotFound, fmt.Errorf("dead letter %d not found", seq))
	default:
		return l
	}
	return nil
}

func (h *handler) deadLetter(w http.ResponseWriter, r *http.Request) {
	if l := h.letter(w, r); l != nil {
		reply(w, l)
	}
}

func (h *handler) replayDead(w http.ResponseWriter, r *http.Request) {
	l := h.letter(w, r)
	if l == nil {
		return
	}
	if h.rt.ReplayDead == nil {
		refuse(w, http.StatusServiceUnavailable, ErrNoProcess)
		return
	}
	done := h.rt.ReplayDead(r.Context(), []*store.DeadLetter{l})[0]
	if done.Error != "" {
		refuse(w, http.StatusConflict, errors.New(done.Error))
		return
	}
	h.audited(r, store.AuditEntry{Class: schema.AuditDelivery, Action: "dead-letter.replay", Object: strconv.FormatUint(l.Seq, 10)})
	reply(w, done)
}

func (h *handler) dropDead(w http.ResponseWriter, r *http.Request) {
	l := h.letter(w, r)
	if l == nil {
		return
	}
	if _, err := h.store.DropDeadLetters(l.Seq); err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	h.audited(r, store.AuditEntry{Class: schema.AuditDelivery, Action: "dead-letter.drop", Object: strconv.FormatUint(l.Seq, 10)})
	reply(w, Replayed{Seq: l.Seq, Result: "dropped"})
}

// replaySelected replays the dead letters that the query selects.
func (h *handler) replaySelected(w http.ResponseWriter, r *http.Request) {
	h.onSelected(w, r, h.rt.ReplayDead != nil, func(ctx context.Context, seqs []uint64, out *Selected) error {
		var letters []*store.DeadLetter
		for _, seq := range seqs {
			l, ok, err := h.store.DeadLetter(seq)
			if err != nil {
				return err
			}
			if ok { // otherwise someone else has replayed or dropped it
				letters = append(letters, l)
			}
		}
		for _, x := range h.rt.ReplayDead(ctx, letters) {
			if x.Error == "" {
				out.Done++
				continue
			}
			out.Failed++
			if len(out.Errors) < maxErrors {
				out.Errors = append(out.Errors, x.Error)
			}
		}
		return ctx.Err()
	})
}

// dropSelected deletes the dead letters that the query selects.
func (h *handler) dropSelected(w http.ResponseWriter, r *http.Request) {
	h.onSelected(w, r, true, func(_ context.Context, seqs []uint64, out *Selected) error {
		n, err := h.store.DropDeadLetters(seqs...)
		out.Done += n
		return err
	})
}

// onSelected calls act with the numbers of the selected dead letters, in batches, and answers with the counts. With
// dry_run it only counts. possible is false if act needs a running process and none runs. A query must restrict the
// selection, or demand all dead letters with all=1. Dead letters that are made during the call are not selected, such
// as those of replayed records that fail again.
func (h *handler) onSelected(w http.ResponseWriter, r *http.Request, possible bool, act func(context.Context, []uint64, *Selected) error) {
	f, err := deadFilter(r)
	q := r.URL.Query()
	if err == nil && f == (store.DeadFilter{Limit: f.Limit}) && q.Get("all") == "" {
		err = errors.New("nothing restricts the selection: give kind, sink, reason, since or until, or all=1")
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	out := Selected{DryRun: q.Get("dry_run") != ""}
	if !out.DryRun && !possible {
		refuse(w, http.StatusServiceUnavailable, ErrNoProcess)
		return
	}
	seqs, err := h.selectDead(f, &out)
	if err == nil && !out.DryRun {
		for batch := range slices.Chunk(seqs, replayBatch) {
			if err = act(r.Context(), batch, &out); err != nil {
				break
			}
		}
	}
	if err != nil {
		refuse(w, http.StatusInternalServerError, fmt.Errorf("after %d of %d dead letters: %w", out.Done+out.Failed, out.Matched, err))
		return
	}
	if !out.DryRun {
		action := "dead-letters.replay"
		if r.Method == http.MethodDelete {
			action = "dead-letters.drop"
		}
		h.audited(r, store.AuditEntry{Class: schema.AuditDelivery, Action: action, Detail: asJSON(out)})
	}
	reply(w, out)
}

// selectDead returns the numbers of the dead letters that match, and counts them in out.
func (h *handler) selectDead(f store.DeadFilter, out *Selected) (seqs []uint64, err error) {
	f.Before = h.store.NextDeadLetter()
	groups := map[DeadGroup]int{}
	err = h.store.DeadLetters(f, func(l *store.DeadLetter) bool {
		seqs = append(seqs, l.Seq)
		groups[DeadGroup{Kind: l.Kind, Sink: l.Sink, Reason: l.Reason}]++
		return true
	})
	out.Matched = len(seqs)
	out.Groups = slices.SortedFunc(maps.Keys(groups), func(a, b DeadGroup) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Sink, b.Sink), cmp.Compare(a.Reason, b.Reason))
	})
	for i := range out.Groups {
		out.Groups[i].Count = groups[out.Groups[i]]
	}
	return seqs, err
}

// enableSink makes a disabled sink try again. If no process runs, the next one finds the sink enabled.
func (h *handler) enableSink(w http.ResponseWriter, r *http.Request) {
	enable := h.rt.EnableSink
	if enable == nil {
		enable = h.store.EnableSink
	}
	changed, err := enable(r.PathValue("name"))
	switch {
	case errors.Is(err, ErrNoProcess):
		refuse(w, http.StatusServiceUnavailable, err)
	case err != nil:
		refuse(w, http.StatusNotFound, err)
	default:
		if changed {
			h.audited(r, store.AuditEntry{Class: schema.AuditDelivery, Action: "sink.enable", Object: r.PathValue("name")})
		}
		reply(w, Enabled{Sink: r.PathValue("name"), Changed: changed})
	}
}

// Enabled is the outcome of enabling a sink.
type Enabled struct {
	Sink    string `json:"sink"`
	Changed bool   `json:"changed"` // false: the sink was not disabled
}
