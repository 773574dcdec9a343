package console

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"sync"
	"time"
)

const (
	// LinkTime is how long a link can be opened: the time to copy it into a browser.
	LinkTime = time.Minute
	// maxLinks is the number of links that wait to be opened, and maxSessions that of sessions: far more than people on duty.
	maxLinks    = 100
	maxSessions = 1000
	// secretBytes is the number of random bytes of a link and of a cookie: no number of guesses finds one.
	secretBytes = 32
)

// digest is the SHA-256 of a secret. Secrets themselves are not kept. A look-up by digest needs no constant time, because a
// caller cannot choose the digest.
type digest [sha256.Size]byte

func digestOf(secret string) digest { return sha256.Sum256([]byte(secret)) }

// newSecret returns a random secret in base64url.
func newSecret() string {
	b := make([]byte, secretBytes)
	rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// session is a browser that is logged in.
type session struct {
	who     Caller
	expires time.Time
	ctx     context.Context // done when the session ends
	end     context.CancelFunc
	used    time.Time // guarded by sessions.mu
}

// link is a link that was not opened yet.
type link struct {
	who     Caller
	expires time.Time
}

// sessions holds the sessions and links of a console in memory: a restart ends all of them.
type sessions struct {
	life, idle time.Duration
	now        func() time.Time

	mu     sync.Mutex
	closed bool
	all    map[digest]*session
	links  map[digest]link
}

func newSessions(life, idle time.Duration, now func() time.Time) *sessions {
	return &sessions{life: life, idle: idle, now: now, all: map[digest]*session{}, links: map[digest]link{}}
}

// link returns the secret of a new link.
func (s *sessions) link(who Caller) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for d, l := range s.links {
		if !now.Before(l.expires) {
			delete(s.links, d)
		}
	}
	if len(s.links) >= maxLinks {
		return "", errors.New("too many links wait to be opened: try again in a minute")
	}
	secret := newSecret()
	s.links[digestOf(secret)] = link{who, now.Add(LinkTime)}
	return secret, nil
}

// redeem returns the caller of a link, once.
func (s *sessions) redeem(secret string) (Caller, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := digestOf(secret)
	l, ok := s.links[d]
	delete(s.links, d)
	return l.who, ok && s.now().Before(l.expires)
}

// open begins a session and returns the secret of its cookie. The oldest session ends if there are too many.
func (s *sessions) open(who Caller) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	var oldest digest
	for d, x := range s.all {
		if s.over(x, now) {
			s.remove(d)
		} else if o := s.all[oldest]; o == nil || x.used.Before(o.used) {
			oldest = d
		}
	}
	if len(s.all) >= maxSessions {
		s.remove(oldest)
	}
	secret := newSecret()
	expires := now.Add(s.life)
	if who.Expires != 0 && timeOf(who.Expires).Before(expires) {
		expires = timeOf(who.Expires)
	}
	ctx, end := context.WithDeadline(context.Background(), expires)
	s.all[digestOf(secret)] = &session{who: who, expires: expires, ctx: ctx, end: end, used: now}
	return secret
}

// find returns the session of a cookie and marks it as used, or returns nil.
func (s *sessions) find(secret string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, now := digestOf(secret), s.now()
	x := s.all[d]
	switch {
	case x == nil || s.closed:
		return nil
	case s.over(x, now):
		s.remove(d)
		return nil
	}
	x.used = now
	return x
}

// over reports whether a session has ended. mu is held.
func (s *sessions) over(x *session, now time.Time) bool {
	select {
	case <-x.who.Ended: // blocks for ever if it is nil, so that default is taken
		return true
	default:
		return !now.Before(x.expires) || now.Sub(x.used) >= s.idle
	}
}

// alive reports whether a session goes on, without marking it as used: a stream that nobody looks at keeps no session alive.
func (s *sessions) alive(x *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closed && x.ctx.Err() == nil && !s.over(x, s.now())
}

// end ends the session of a cookie.
func (s *sessions) end(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(digestOf(secret))
}

// remove ends a session. mu is held.
func (s *sessions) remove(d digest) {
	if x := s.all[d]; x != nil {
		x.end()
		delete(s.all, d)
	}
}

func (s *sessions) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for d := range s.all {
		s.remove(d)
	}
}
