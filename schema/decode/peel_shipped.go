package decode

import (
	"strings"

	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// shippedEnvelope holds the places of the keys under which log shippers wrap a record, and of the keys that they add.
type shippedEnvelope struct {
	wrapped                         [len(shippedKeys)]int
	event, sourceType, host, hecKey int // Splunk's HTTP event collector: event, sourcetype, host, time
	stream, source, kubernetes      int // container runtimes: stream; FireLens: source; shippers of Kubernetes: kubernetes
}

// shippedKeys are the keys under which log shippers wrap a record, in the order in which they are tried: Filebeat, Logstash,
// Elastic Agent and Vector; Docker and Fluent Bit; GELF; Splunk and Cribl; journald; Elasticsearch.
var shippedKeys = [...][]string{
	{"message"}, {"event", "original"}, {"log"}, {"full_message"}, {"short_message"}, {"_raw"}, {"MESSAGE"}, {"@message"}, {"json"},
	{"_source"},
}

func openShippedEnvelope(p *formats.Paths) shippedEnvelope {
	e := shippedEnvelope{
		event: p.Add("event"), sourceType: p.Add("sourcetype"), host: p.Add("host"), hecKey: p.Add("time"),
		stream: p.Add("stream"), source: p.Add("source"), kubernetes: p.Add("kubernetes"),
	}
	for i, key := range shippedKeys {
		e.wrapped[i] = p.Add(key...)
	}
	return e
}

// peelShipped peels the envelope of a log shipper, which wraps a record as text or as an object. The text is the
// log of a workload.
func (d *Decoder) peelShipped(src string, _ scan.Span, level int) bool {
	e := &d.envelope.shipped
	outer := d.workload
	defer func() { d.workload = outer }()
	d.workload = true
	for i, place := range e.wrapped {
		if d.found[place].Kind <= scan.Null {
			continue
		}
		d.noteEnvelope(level, strings.Join(shippedKeys[i], "."))
		if d.decodeInner(src, d.found[place], level) {
			return true
		}
	}
	if d.has(e.event) && (d.has(e.sourceType) || d.has(e.hecKey) && d.has(e.host)) {
		d.workload = outer || !isPlatformSource(d.elem.Text(formats.Node{Src: src, Span: d.found[e.sourceType]}))
		d.noteEnvelope(level, "HEC")
		return d.decodeInner(src, d.found[e.event], level)
	}
	return false
}

// isPlatformSource reports whether a source type of Splunk is that of a platform's audit log. The collector's configuration
// sets it, not the text of the log.
func isPlatformSource(kind string) bool {
	for _, prefix := range [...]string{
		"aws:cloudtrail", "azure:", "mscs:azure:", "mscs:kube:audit", "ms:", "o365:", "google:gcp:pubsub:audit", "google:gcp:pubsub:message",
		"gws:", "github:", "OktaIM2:", "okta:", "kube:apiserver:audit", "ocsf:",
	} {
		if strings.HasPrefix(kind, prefix) {
			return true
		}
	}
	return false
}

// isContainerLine reports whether the current object is a line of a container's output, into which the shipper merged the
// keys of the JSON that the container wrote. Docker, CRI and their shippers add the key stream, FireLens adds source, and
// shippers in Kubernetes add kubernetes.
func (d *Decoder) isContainerLine(src string) bool {
	e := &d.envelope.shipped
	for _, place := range [...]int{e.stream, e.source} {
		if v := d.found[place]; isText(src, v, "stdout") || isText(src, v, "stderr") {
			return true
		}
	}
	return d.found[e.kubernetes].Kind == scan.Object
}
