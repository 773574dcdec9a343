package config

import (
	"net/url"
	"strings"

	"github.com/aidr-engine/aidr/rules/doc"
)

func (r *reader) registry(n *doc.Node) *Registry {
	f := n.Fields()
	g := &Registry{
		URL: r.text(f.Get("url")), Username: r.text(f.Get("username")), Password: r.text(f.Get("password")),
		Schemas: r.text(f.Get("schemas")), IDBytes: int(integer(f.Get("id_bytes"), 4, 4, 8)),
	}
	if g.IDBytes != 4 && g.IDBytes != 8 {
		f.Get("id_bytes").Fail("is neither 4 nor 8")
	}
	if f.Get("url") == nil && f.Get("schemas") == nil {
		n.Fail("needs the url of the registry, or a folder with its schemas")
	}
	u, err := url.Parse(g.URL)
	switch {
	case g.URL == "":
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		f.Get("url").Fail("is not an http or https URL")
	case u.User != nil:
		f.Get("url").Fail("holds a user: use username and password")
	}
	if (f.Get("username") == nil) != (f.Get("password") == nil) {
		n.Fail("has only one of username and password: basic authentication needs both")
	}
	if t := f.Get("tls"); t != nil {
		g.TLS = r.registryTLS(t)
		if strings.HasPrefix(g.URL, "http:") {
			t.Fail("does nothing with an http address")
		}
	}
	f.Done()
	return g
}

func (r *reader) registryTLS(n *doc.Node) *RegistryTLS {
	f := n.Fields()
	t := &RegistryTLS{CA: r.text(f.Get("ca")), Cert: r.text(f.Get("cert")), Key: r.text(f.Get("key"))}
	if (t.Cert == "") != (t.Key == "") {
		n.Fail("has only one of cert and key: a client certificate needs both")
	}
	f.Done()
	return t
}
