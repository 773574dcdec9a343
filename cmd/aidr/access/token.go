package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// TokenPrefix is the beginning of each token, by which scanners for leaked secrets recognise it.
	TokenPrefix = "aidr_"
	// tokenBytes is the number of random bytes in a token: no number of guesses finds one.
	tokenBytes = 32
	// MaxTokens is the number of tokens that a state directory keeps. Each request compares its token with all of them.
	MaxTokens = 1000
	// maxTenant is the length of the longest name of a tenant, in bytes.
	maxTenant = 256
	// keepEnded is how long a token that was revoked or has expired stays in the list.
	keepEnded = 90 * 24 * time.Hour
)

// The errors of tokens.
var (
	ErrNoToken    = errors.New("no token has this id or name: see `aidr token ls`")
	ErrEscalation = errors.New("a token cannot be given more than its creator holds")
)

// nameForm is the form of the names of tokens, which go into the audit.
var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// Token is what the state directory keeps of a token. The secret itself is not kept.
type Token struct {
	ID        string         `json:"id"` // 16 hex digits
	Name      string         `json:"name"`
	Scopes    []Scope        `json:"scopes"`
	Tenant    string         `json:"tenant,omitempty"`
	Created   schema.Instant `json:"created"`
	By        string         `json:"by"`
	Expires   schema.Instant `json:"expires,omitzero"`
	Revoked   schema.Instant `json:"revoked,omitzero"`
	RevokedBy string         `json:"revoked_by,omitempty"`
}

// ended returns when the token ceased to be valid, 0 if it is valid.
func (t *Token) ended(now schema.Instant) schema.Instant {
	switch {
	case t.Revoked != 0:
		return t.Revoked
	case t.Expires != 0 && now >= t.Expires:
		return t.Expires
	}
	return 0
}

// TokenSpec describes a new token.
type TokenSpec struct {
	Name   string
	Scopes []Scope
	Tenant string        // "": all
	For    time.Duration // how long it is valid; 0: until it is revoked
}

// storedToken is the form in the store.
type storedToken struct {
	Token
	Hash string `json:"hash"` // SHA-256 of the secret, hex
}

// liveToken is a token in memory. Its context is done once it is revoked.
type liveToken struct {
	storedToken
	hash [sha256.Size]byte
	ctx  context.Context
	end  context.CancelFunc
}

// Tokens are the tokens of a state directory. Its methods may be called concurrently.
type Tokens struct {
	store *store.Store
	now   func() time.Time

	mu   sync.RWMutex
	list []*liveToken // by time of creation
}

// OpenTokens reads the tokens of a store. now is the wall clock.
func OpenTokens(s *store.Store, now func() time.Time) (*Tokens, error) {
	t := &Tokens{store: s, now: now}
	var damaged error
	err := s.Tokens(func(id string, body []byte) bool {
		var x storedToken
		if damaged = json.Unmarshal(body, &x); damaged == nil {
			damaged = t.add(x)
		}
		if damaged != nil {
			damaged = fmt.Errorf("read token %q: %w", id, damaged)
		}
		return damaged == nil
	})
	if err = errors.Join(err, damaged); err != nil {
		return nil, err
	}
	slices.SortStableFunc(t.list, func(a, b *liveToken) int { return int(min(max(a.Created-b.Created, -1), 1)) })
	return t, nil
}

func (t *Tokens) add(x storedToken) error {
	l := &liveToken{storedToken: x}
	if n, err := hex.Decode(l.hash[:], []byte(x.Hash)); err != nil || n != len(l.hash) || len(x.Hash) != 2*len(l.hash) {
		return errors.New("its hash is damaged")
	}
	l.ctx, l.end = context.WithCancel(context.Background())
	if x.Revoked != 0 {
		l.end()
	}
	t.list = append(t.list, l)
	return nil
}

// Create makes a token and returns its secret, which nothing keeps. ErrEscalation refuses more than the creator holds.
func (t *Tokens) Create(spec TokenSpec, by Caller) (secret string, token Token, err error) {
	if err := spec.check(&by); err != nil {
		return "", Token{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := schema.InstantOf(t.now())
	var drop []store.KV
	live := 0
	for _, l := range t.list {
		ended := l.ended(now)
		switch {
		case ended == 0 && l.Name == spec.Name:
			return "", Token{}, fmt.Errorf("the name %q is that of a token in use: revoke it first, or choose another name", spec.Name)
		case ended == 0:
			live++
		case now.Sub(keepEnded) > ended || len(t.list) >= MaxTokens:
			drop = append(drop, store.KV{Key: []byte(l.ID)})
		}
	}
	if live >= MaxTokens {
		return "", Token{}, fmt.Errorf("there are %d tokens in use, which is the limit: revoke some", live)
	}
	random := make([]byte, tokenBytes+8)
	rand.Read(random)
	secret = TokenPrefix + base64.RawURLEncoding.EncodeToString(random[:tokenBytes])
	hash := sha256.Sum256([]byte(secret))
	x := storedToken{Hash: hex.EncodeToString(hash[:]), Token: Token{
		ID: hex.EncodeToString(random[tokenBytes:]), Name: spec.Name, Scopes: spec.Scopes, Tenant: spec.Tenant, Created: now, By: by.Name,
	}}
	if spec.For > 0 {
		x.Expires = now.Add(spec.For)
	}
	if err := t.save(&x, drop, "token.create", by, "", nil); err != nil {
		return "", Token{}, err
	}
	t.list = slices.DeleteFunc(t.list, func(l *liveToken) bool {
		return slices.ContainsFunc(drop, func(kv store.KV) bool { return string(kv.Key) == l.ID })
	})
	return secret, x.Token, t.add(x)
}

func (s *TokenSpec) check(by *Caller) error {
	switch {
	case !nameForm.MatchString(s.Name):
		return fmt.Errorf("name %q: use up to 63 of a-z, 0-9, '.', '_' and '-', the first a letter or digit", schema.Truncate(s.Name, 64))
	case len(s.Scopes) == 0:
		return errors.New("the token has no scope: name a role or scopes")
	case s.For < 0:
		return errors.New("the token would have expired already")
	case len(s.Tenant) > maxTenant || strings.ContainsFunc(s.Tenant, func(r rune) bool { return r < ' ' }):
		return errors.New("the tenant is not a name of a tenant")
	case by.Tenant != "" && s.Tenant != by.Tenant:
		return fmt.Errorf("%w: it is limited to the tenant %q", ErrEscalation, by.Tenant)
	}
	for _, scope := range s.Scopes {
		if !by.May(scope) {
			return fmt.Errorf("%w: it lacks the scope %s", ErrEscalation, scope)
		}
	}
	return nil
}

// save makes the state of a token durable, with an entry in the audit. mu is held.
func (t *Tokens) save(x *storedToken, drop []store.KV, action string, by Caller, reason string, before *Token) error {
	body, err := json.Marshal(x)
	if err != nil {
		return err
	}
	entry := store.AuditEntry{
		Time: schema.InstantOf(t.now()), Who: by.Name, Token: by.Token, Tenant: x.Tenant, Class: schema.AuditToken, Action: action, Object: x.ID,
		Reason: reason,
	}
	if before != nil {
		entry.Before, _ = json.Marshal(before) // of texts and numbers: cannot fail
	}
	entry.After, _ = json.Marshal(&x.Token)
	c := store.Change{Tokens: append(drop, store.KV{Key: []byte(x.ID), Value: body}), Audit: []store.AuditEntry{entry}}
	if err := t.store.Apply(&c); err != nil {
		return fmt.Errorf("write the token: %w", err)
	}
	return nil
}

// Revoke makes the token with an id, or the one in use with a name, invalid at once, and ends its requests under way.
func (t *Tokens) Revoke(name string, by Caller, reason string) (Token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := schema.InstantOf(t.now())
	at := slices.IndexFunc(t.list, func(l *liveToken) bool {
		return by.Sees(l.Tenant) && (l.ID == name || l.Name == name && l.ended(now) == 0)
	})
	if at < 0 {
		return Token{}, fmt.Errorf("%q: %w", schema.Truncate(name, 64), ErrNoToken)
	}
	l := t.list[at]
	if l.Revoked != 0 {
		return l.Token, nil
	}
	next := l.storedToken
	next.Revoked, next.RevokedBy = now, by.Name
	if err := t.save(&next, nil, "token.revoke", by, reason, &l.Token); err != nil {
		return Token{}, err
	}
	t.list[at] = &liveToken{storedToken: next, hash: l.hash, ctx: l.ctx, end: l.end}
	l.end()
	return next.Token, nil
}

// List returns the tokens that a caller sees, the oldest first.
func (t *Tokens) List(by Caller) []Token {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := []Token{}
	for _, l := range t.list {
		if by.Sees(l.Tenant) {
			out = append(out, l.Token)
		}
	}
	return out
}

// Authenticate returns the caller that a secret identifies, and a context that is done once its token is revoked. Its time
// depends on the number of tokens, not on the secret. ok is false for any text that is not a valid token.
func (t *Tokens) Authenticate(secret string) (c Caller, valid context.Context, ok bool) {
	hash := sha256.Sum256([]byte(secret))
	t.mu.RLock()
	defer t.mu.RUnlock()
	var found *liveToken
	for _, l := range t.list {
		if subtle.ConstantTimeCompare(hash[:], l.hash[:]) == 1 {
			found = l
		}
	}
	if found == nil || found.ended(schema.InstantOf(t.now())) != 0 {
		return Caller{}, nil, false
	}
	return Caller{
		Name: "token:" + found.Name, Credential: found.Hash, Scopes: found.Scopes, Tenant: found.Tenant, Token: found.ID, Expires: found.Expires,
	}, found.ctx, true
}
