package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/connectors/webhook"
	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/rules/predicate"
)

// webhook reads the endpoint with the given index.
func (r *reader) webhook(n *doc.Node, index int) Webhook {
	f := n.Fields()
	w := Webhook{
		At: placeOf(r.origin, n), Name: r.name(f.Get("name"), fmt.Sprintf("webhook-%d", index+1)), URL: r.filled(f, "url"),
		AllowNetworks: r.networks(f.Get("allow_networks")), Filter: r.filter(f.Get("filter")),
		Timeout:     duration(f.Get("timeout"), 0, time.Second, 5*time.Minute),
		Concurrency: int(integer(f.Get("concurrency"), 0, 1, 64)), Headers: map[string]string{},
	}
	r.webhookFormat(f, &w)
	w.Secrets = r.secrets(n, f, w.Format)
	if retries := f.Get("retries"); retries != nil {
		w.Retries = []time.Duration{} // not nil: an empty list means a single attempt
		for _, item := range retries.Items() {
			w.Retries = append(w.Retries, item.Duration(time.Millisecond, 7*day))
		}
	}
	f.Get("headers").Each(func(name, value *doc.Node) { w.Headers[name.String()] = r.text(value) })
	if rate := f.Get("rate"); rate != nil {
		if w.Rate = rate.Float(); w.Rate <= 0 {
			rate.Fail("must be more than 0 deliveries per second")
		}
	}
	if u, err := url.Parse(w.URL); w.URL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		f.Get("url").Fail("is not an http or https URL")
	} else if w.URL != "" {
		r.refused(f.Get("url"), u.Hostname(), w.AllowNetworks)
	}
	f.Done()
	return w
}

// webhookFormat reads the format and the settings that belong to it. The connector checks which of them go together.
func (r *reader) webhookFormat(f *doc.Fields, w *Webhook) {
	if v := f.Get("format"); v != nil {
		names := make([]string, 0, len(webhook.Formats()))
		for _, name := range webhook.Formats() {
			names = append(names, string(name))
		}
		w.Format = webhook.Format(v.Enum(names...))
	}
	if t := f.Get("template"); t != nil { // not expanded, because $x is a variable of the template
		w.Template = t.Filled()
		if err := webhook.CheckTemplate(w.Template); w.Template != "" && err != nil {
			t.Fail("cannot be used: %v", err)
		}
	}
	w.Channel, w.Index = r.text(f.Get("channel")), r.text(f.Get("index"))
	w.Token, w.RoutingKey = r.text(f.Get("token")), r.text(f.Get("routing_key"))
	if t := f.Get("tls"); t != nil {
		w.TLS = r.tls(t)
	}
}

// links reads the addresses for people.
func (r *reader) links(f *doc.Fields) (l Links) {
	l.Base, l.Callbacks = r.link(f.Get("base")), r.link(f.Get("callbacks"))
	runbook := f.Get("runbook")
	l.Runbook = r.text(runbook)
	if u, err := url.Parse(strings.ReplaceAll(l.Runbook, "{rule}", "rule")); runbook != nil && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		runbook.Fail("is not an http or https URL, such as https://wiki.example.com/runbooks/{rule}")
	}
	f.Done()
	return l
}

// link reads an address that paths are added to.
func (r *reader) link(n *doc.Node) string {
	text := r.text(n)
	if u, err := url.Parse(text); n != nil && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "") {
		n.Fail("is not an http or https URL without a query")
	}
	return text
}

// refused reports a URL whose address the webhook sink will refuse to dial.
func (r *reader) refused(n *doc.Node, host string, allowed []string) {
	var allow []netip.Prefix
	for _, text := range allowed {
		if p, err := netip.ParsePrefix(text); err == nil { // networks has reported an error
			allow = append(allow, p)
		}
	}
	if err := webhook.Refused(host, allow); err != nil {
		n.Fail("is never delivered to: %v", err)
	}
}

// secrets reads `secret` and `secrets`, which lists several during a rotation.
func (r *reader) secrets(n *doc.Node, f *doc.Fields, format webhook.Format) (out []string) {
	one, more := f.Get("secret"), f.Get("secrets")
	if one != nil {
		if s := r.filled(f, "secret"); s != "" {
			out = append(out, s)
		}
	}
	out = append(out, r.texts(more)...)
	if one == nil && len(more.Items()) == 0 && format.Signed() {
		n.Fail("has no secret to sign deliveries with: make one with `aidr webhook secret`")
	}
	return out
}

// filter compiles a condition over findings. Its problems get their positions in the file.
func (r *reader) filter(n *doc.Node) predicate.Filter {
	text := n.Filled()
	if text == "" {
		return nil
	}
	if r.filters == nil {
		env, err := expr.NewEnv(expr.Site{})
		if err != nil {
			n.Fail("cannot be compiled: %v", err)
			return nil
		}
		r.filters = env
	}
	filter, issues := r.filters.CompileFinding(text, entryTypes()...)
	for _, i := range issues {
		n.FailAt(i.Line, i.Col, "%s", i.Text)
	}
	return filter
}

// entryTypes returns the values of `type` in a filter.
func entryTypes() (types []string) {
	for _, t := range webhook.Types() {
		types = append(types, string(t))
	}
	return types
}
