package console

import (
	"net/http"
	"strings"

	"github.com/aidr-engine/aidr/schema"
)

// loginBody is the content of the page login.
type loginBody struct {
	Tokens bool   // a token opens a session
	Failed string // why the last attempt failed
	Next   string // the address to go to
}

// openLink opens a session for a link, and goes on to an address without it.
func (q *request) openLink() error {
	who, ok := q.console.sessions.redeem(q.value("link"))
	if !ok {
		q.refused("a link that was used, or is too old")
		return q.send(http.StatusForbidden, page{Name: "login", Title: "Log in", Body: loginBody{
			Tokens: q.console.opts.Authenticate != nil, Failed: "The link was used, or is older than a minute.", Next: "/",
		}})
	}
	q.enter(who)
	return q.redirect("/")
}

// enter opens a session.
func (q *request) enter(who Caller) {
	if q.session != nil { // the browser is logged in already: that session ends
		q.leave()
	}
	q.console.setCookie(q.w, q.console.sessions.open(who), int(q.console.opts.Session.Seconds()))
	q.console.opts.Log.Info("console: logged in", "who", who.Name, "scopes", who.Scopes, "tenant", who.Tenant, "from", q.r.RemoteAddr)
	q.audit(&who, actionLogin, "")
}

// leave ends the session of the request.
func (q *request) leave() {
	if cookie, err := q.r.Cookie(q.console.cookieName()); err == nil {
		q.console.sessions.end(cookie.Value)
	}
}

func (q *request) loginPage() error {
	return q.show(page{Name: "login", Title: "Log in", Body: loginBody{Tokens: q.console.opts.Authenticate != nil, Next: "/"}})
}

// loginToken opens a session for a token of the control API.
func (q *request) loginToken() error {
	if err := q.r.ParseForm(); err != nil {
		return badRequest{err}
	}
	next := local(q.r.PostForm.Get("next"))
	if auth := q.console.opts.Authenticate; auth != nil {
		if who, ok := auth(strings.TrimSpace(q.r.PostForm.Get("token"))); ok {
			q.enter(who)
			return q.redirect(next)
		}
	}
	q.refused("a token that is unknown, expired or revoked")
	return q.send(http.StatusForbidden, page{Name: "login", Title: "Log in", Body: loginBody{
		Tokens: q.console.opts.Authenticate != nil, Failed: "The token is unknown, expired or revoked.", Next: next,
	}})
}

// local returns an address if it is one of this console, else that of the queue.
func local(to string) string {
	if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n") || schema.CheckTargetText("next", to) != nil {
		return "/"
	}
	return to
}

func (q *request) logout() error {
	q.audit(&q.session.who, actionLogout, "")
	q.leave()
	q.console.setCookie(q.w, "", -1)
	return q.redirect("/login")
}

// The cookies of the settings of a browser.
const (
	cookieTheme = "aidr-theme"
	cookieKeys  = "aidr-keys"
)

// settings returns the theme and whether keys work.
func (q *request) settings() (theme string, keys bool) {
	if c, err := q.r.Cookie(cookieTheme); err == nil && (c.Value == "light" || c.Value == "dark") {
		theme = c.Value
	}
	c, err := q.r.Cookie(cookieKeys)
	return theme, err != nil || c.Value != "off"
}

// settingsTime is how long the settings of a browser are kept, in seconds: a year.
const settingsTime = 365 * 24 * 3600

func (q *request) saveSettings() error {
	if err := q.r.ParseForm(); err != nil {
		return badRequest{err}
	}
	for name, field := range map[string]string{cookieTheme: "theme", cookieKeys: "keys"} {
		if !q.r.PostForm.Has(field) {
			continue
		}
		value := q.r.PostForm.Get(field)
		if value != "light" && value != "dark" && value != "on" && value != "off" {
			value = "system"
		}
		http.SetCookie(q.w, &http.Cookie{
			Name: name, Value: value, Path: "/", MaxAge: settingsTime, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: q.console.opts.TLS != nil,
		})
	}
	return q.redirect(local(q.r.PostForm.Get("next")))
}
