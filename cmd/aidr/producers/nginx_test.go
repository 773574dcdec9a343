package producers

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func testNGINX(t *testing.T, k *shipping) {
	path := program(t, "nginx", "AIDR_NGINX", "nginx")
	version(t, path, "-v")
	dir, listen, listenTLS := t.TempDir(), freeAddr(t), freeAddr(t)
	client := certificates(t, dir)
	settings := strings.NewReplacer("/var/log/nginx/", dir+"/", "/etc/nginx/", dir+"/").Replace(documented(t, nginxPage, "log_format aidr"))
	file := configure(t, dir, "nginx.conf", map[string]string{
		"DOCUMENTED": settings, "DIR": dir, "LISTEN": listen, "LISTEN_TLS": listenTLS, "BACKEND": startBackend(t), "GONE": freeAddr(t),
	})
	write(t, dir, "agents.map", `"Bearer `+billing.key+`" `+billing.name+";\n"+`"Bearer `+research.key+`" `+research.name+";\n")
	write(t, dir, "credentials.map", billing.name+" "+billing.hash()+";\n"+research.name+" "+research.hash()+";\n")
	s := launch(t, dir, nil, path, "-p", dir, "-c", file, "-e", "stderr")
	s.listening(listen)
	sent := calls()
	for _, c := range sent {
		c.toClose = true
		c.send(t, listen)
	}
	mutual := certified(client, "CN=billing-agent")
	mutual.toClose = true
	mutual.send(t, listenTLS)
	sent = append(sent, mutual)
	sendNoise(t, listen)
	s.stop()
	lines := logged(t, filepath.Join(dir, "aidr.json"))
	events := through(t, k, "nginx", lines)
	checkCalls(t, abilities{dataset: "nginx.access", unit: 2 * time.Millisecond, hash: true, arguments: true, session: true}, sent, events)
}
