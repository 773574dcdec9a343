package fold

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// maxBroughtEvidence is the size in bytes of the evidence that State holds of an item that brought values: its head
	// and the first fields that the rule mentions.
	maxBroughtEvidence = 2 << 10
	// maxBroughtItems is the number of items that brought values of which State holds the evidence: the latest. Of
	// earlier ones it holds the position of the record.
	maxBroughtItems = 32
)

// provenance is the kind of a provenance rule: an item triggers if it uses a value that an earlier item in the window
// brought, and that no item in the window up to it made known. One item makes values known, then uses, then brings them. Rules
// over the rule see a trigger for each top-level argument that holds such a value, with the longest of its values.
//
//	within: 1h
//	09:00  known  "pay the invoice of acme"         knows "acme"
//	09:01  from   result of read_mail: IBAN, acme   brings IBAN and acme
//	09:02  into   pay {to: IBAN}                    triggers: IBAN of argument to, from read_mail
//	09:03  into   search {for: acme}                does not: acme is known
//	09:04  known  "yes, use that IBAN"              knows IBAN, and clears nothing that was
//	09:05  into   pay {to: IBAN}                    does not
//	10:00  into   search {for: acme}                does not know acme any longer, but acme is brought: triggers
//	10:01  into   search {for: acme}                does not: both are out of the window
//
// State is two ledgers, of the known and of the brought values, then for each item of the second one:
//
//	role uvarint, id 16 bytes, source, evidence (each uvarint length, bytes)
type provenance struct {
	within time.Duration
}

func (p *Program) setProvenance(c *rules.Provenance) { p.kind = provenance{c.Within} }

func (k provenance) fold(s *scratch, st []byte, it *item.Item) {
	r := flat.NewReader(st)
	known, brought := readLedger(&r), readLedger(&r)
	origins := r.Rest()
	data := it.Data
	var makes, brings item.Brought
	if it.Roles&(1<<rules.ProvenanceKnown) != 0 {
		makes, data = item.ReadBrought(data)
	}
	if it.Roles&(1<<rules.ProvenanceFrom) != 0 {
		brings, data = item.ReadBrought(data)
	}
	start := len(s.state)
	s.state = k.appendLedger(s, known, &makes, it.Time)
	if it.Roles&(1<<rules.ProvenanceInto) != 0 {
		r := flat.NewReader(s.state[start:])
		k.use(s, readLedger(&r), brought, origins, item.ReadUsed(data), it)
	}
	s.state = k.appendLedger(s, brought, &brings, it.Time)
	switch {
	case brings.Values != "":
		s.state = k.appendOrigins(s, brought, origins, &brings, it)
	case !brought.over(it.Time, k.within):
		s.state = append(s.state, origins...)
	}
	if len(s.state) == start+2*len(noLedger) { // nothing is known and nothing brought
		s.state = s.state[:start]
	}
}

// noLedger is the flat form of an empty ledger.
const noLedger = "\x00\x00\x00\x00"

// appendLedger appends a ledger after an item.
func (k provenance) appendLedger(s *scratch, l ledger, b *item.Brought, t schema.Instant) []byte {
	if b.Cut {
		s.limits.Brought++
	}
	switch {
	case b.Values != "":
		out, gone := s.ledger.add(s.state, l, b.Values, t, k.within)
		s.limits.Brought += int64(gone)
		return out
	case l.over(t, k.within):
		return append(s.state, noLedger...)
	}
	return l.append(s.state)
}

// use triggers if the item uses a tainted value.
func (k provenance) use(s *scratch, known, brought ledger, origins []byte, used item.Used, it *item.Item) {
	if brought.over(it.Time, k.within) {
		s.limits.Unjudged++
		return
	}
	if used.Cut {
		s.limits.Brought++
	}
	for hash, argument, text, ok := used.Next(); ok; hash, argument, text, ok = used.Next() {
		from, tainted := brought.find(uint64At(hash), it.Time, k.within)
		if !tainted {
			continue
		}
		if _, innocent := known.find(uint64At(hash), it.Time, k.within); innocent {
			continue
		}
		tr := &s.trigger
		if tr.fired {
			s.taintAlso(item.Provenance{Value: text, Argument: argument, Source: string(readOrigin(origins, from).source)})
			continue
		}
		o := readOrigin(origins, from)
		o.event.time, o.event.step = brought.item(from).time, rules.ProvenanceFrom+1
		s.events = append(s.events[:0], o.event)
		tr.fired, tr.time, tr.first, tr.item, tr.step = true, it.Time, it.Time, it, rules.ProvenanceInto+1
		tr.count, tr.added, tr.events = 1, 1, s.events
		tr.provenance = item.Provenance{Value: text, Argument: argument, Source: string(o.source)}
		s.detail = appendTaint(s.detail[:0], &tr.provenance)
		tr.detail = s.detail
	}
}

// maxTainted is the number of tainted arguments of one call that the rules over a provenance see: more than any tool has
// that people wrote.
const maxTainted = 64

// taintAlso records the longest tainted value of a further argument.
func (s *scratch) taintAlso(p item.Provenance) {
	if p.Argument == s.trigger.provenance.Argument {
		return
	}
	for i := range s.tainted {
		if s.tainted[i].Argument == p.Argument {
			return
		}
	}
	if len(s.tainted) == maxTainted-1 {
		s.limits.Brought++
		return
	}
	s.tainted = append(s.tainted, p)
}

// origin is what State holds of an item that brought values.
type origin struct {
	event  storedEvent // without its time
	source []byte
	flat   []byte // up to the evidence
}

func nextOrigin(r *flat.Reader) (o origin) {
	whole := r.Rest()
	o.event.role, o.event.id, o.source = uint16(r.Uvarint()), r.ID(), r.Text()
	o.flat = whole[:len(whole)-len(r.Rest())]
	o.event.evidence = r.Text()
	return o
}

// readOrigin returns that of item i of the ledger.
func readOrigin(origins []byte, i int) (o origin) {
	r := flat.NewReader(origins)
	for range i + 1 {
		o = nextOrigin(&r)
	}
	return o
}

// appendOrigins appends the origins after an item that brought values: those of the items that the ledger still has.
func (k provenance) appendOrigins(s *scratch, before ledger, origins []byte, brings *item.Brought, it *item.Item) []byte {
	dst, u := s.state, &s.ledger
	r := flat.NewReader(origins)
	for i := range before.numItems() {
		o := nextOrigin(&r)
		if i < u.first || u.items[i-u.first].live == 0 {
			continue
		}
		dst = append(dst, o.flat...)
		evidence := o.event.evidence
		if u.items[i-u.first].number+maxBroughtItems <= u.number {
			evidence = positionOf(evidence)
		}
		dst = flat.AppendText(dst, evidence)
	}
	if len(u.brought) == 0 {
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64(it.Role))
	dst = append(dst, it.ID[:]...)
	dst = flat.AppendText(dst, brings.Source)
	return flat.AppendText(dst, it.Evidence[:min(len(it.Evidence), maxBroughtEvidence)])
}

// positionOf returns the first part of flat evidence, the position of the record.
func positionOf(evidence []byte) []byte {
	_, rest := flat.ReadText(evidence)
	return evidence[:len(evidence)-len(rest)]
}

func (k provenance) span() time.Duration { return k.within }

func (k provenance) expired(st []byte, w schema.Instant) bool {
	r := flat.NewReader(st)
	for range 2 {
		l := readLedger(&r)
		if n := l.numItems(); n > 0 && !w.Reached(l.item(n-1).time, k.within) {
			return false
		}
	}
	return true
}

func (k provenance) check(st []byte) bool {
	r := flat.NewReader(st)
	known, brought := readLedger(&r), readLedger(&r)
	for range brought.numItems() {
		nextOrigin(&r)
	}
	return r.Done() && known.len()+brought.len() > 0 && known.valid() && brought.valid()
}

func (k provenance) describe(st []byte, v *KeyView) {
	r := flat.NewReader(st)
	known, brought := readLedger(&r), readLedger(&r)
	v.Known, v.Values = known.len(), brought.len()
	for _, l := range [...]ledger{known, brought} {
		n := l.numItems()
		if n == 0 {
			continue
		}
		first, last := l.item(0).time, l.item(n-1).time
		if v.Since != nil {
			first, last = min(first, *v.Since), max(last, *v.Last)
		}
		v.setSpan(first, last)
	}
}

// appendTaint appends the detail of a group: value, argument, source (each uvarint length, bytes).
func appendTaint(dst []byte, p *item.Provenance) []byte {
	dst = flat.AppendText(dst, p.Value)
	dst = flat.AppendText(dst, p.Argument)
	return flat.AppendText(dst, p.Source)
}

// provenanceOf returns the value that the first trigger of a group is about.
func provenanceOf(g *Group) (p schema.Provenance) {
	rest := g.Detail
	p.Value, rest = flat.ReadText(rest)
	p.Argument, rest = flat.ReadText(rest)
	p.Source, _ = flat.ReadText(rest)
	return p
}

func (k provenance) annotate(g *Group, f *schema.Finding) {
	p := provenanceOf(g)
	f.Provenance = &p
}

func (k provenance) explain(_ *Program, g *Group) string {
	p := provenanceOf(g)
	text := "the value " + quote(p.Value)
	if p.Argument != "" {
		text += " of argument " + quote(p.Argument)
	}
	if p.Source != "" {
		return text + fmt.Sprintf(" came out of the result of tool %s and was not given by the user", quote(p.Source))
	}
	return text + " came out of an untrusted result and was not given by the user"
}
