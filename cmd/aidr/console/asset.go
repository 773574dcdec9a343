package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// staticFiles are the scripts and styles. LICENSES.txt names the libraries among them with their versions and licences; their names
// carry their versions.
//
//go:embed static
var staticFiles embed.FS

// asset is a file of static, as it is sent.
type asset struct {
	kind        string // content type
	body, small []byte // as it is, and compressed
}

// assets are the files of static by the name in addresses, which changes with the content.
var assets, assetNames = readAssets()

func readAssets() (byAddress map[string]asset, addresses map[string]string) {
	byAddress, addresses = map[string]asset{}, map[string]string{}
	files, err := fs.ReadDir(staticFiles, "static")
	if err != nil {
		panic("BUG: the assets are embedded: " + err.Error())
	}
	kinds := map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8"}
	for _, f := range files {
		body, err := staticFiles.ReadFile("static/" + f.Name())
		if err != nil {
			panic("BUG: the assets are embedded: " + err.Error())
		}
		var small bytes.Buffer
		z, _ := gzip.NewWriterLevel(&small, gzip.BestCompression) // the level is valid
		z.Write(body)                                             // into memory
		z.Close()
		sum := sha256.Sum256(body)
		ext := path.Ext(f.Name())
		address := strings.TrimSuffix(f.Name(), ext) + "." + hex.EncodeToString(sum[:6]) + ext
		byAddress[address], addresses[f.Name()] = asset{kinds[ext], body, small.Bytes()}, address
	}
	return byAddress, addresses
}

// assetPath returns the address of a file of static.
func assetPath(name string) string {
	address, ok := assetNames[name]
	if !ok {
		panic("BUG: there is no asset " + name)
	}
	return "/static/" + address
}

// asset sends a file of static. Its address changes with its content, so that browsers may keep it.
func (q *request) asset() error {
	a, ok := assets[q.r.PathValue("file")]
	if !ok {
		http.Error(q.w, "there is no such file", http.StatusNotFound)
		return nil
	}
	h := q.w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Add("Vary", "Accept-Encoding")
	body := a.body
	if strings.Contains(q.r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = a.small
	}
	_, err := q.w.Write(body)
	return ignored(err)
}
