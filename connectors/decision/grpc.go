package decision

import (
	"context"
	"net/http"
	"slices"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	envoy "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/aidr-engine/aidr/schema"
)

// jwtFilter is the name under which Envoy keeps the claims of tokens that it has verified. The filter of ext_authz passes them on
// if metadata_context_namespaces lists the name.
const jwtFilter = "envoy.filters.http.jwt_authn"

// Register registers Envoy's gRPC ext_authz (v3) with a server.
func (s *Server) Register(g grpc.ServiceRegistrar) {
	auth.RegisterAuthorizationServer(g, &authorization{server: s})
}

// authorization implements Envoy's gRPC ext_authz.
type authorization struct {
	auth.UnimplementedAuthorizationServer
	server *Server
}

// Check answers one request. A refusal is an answer, not an error: errors mean that no answer could be given, and Envoy's
// failure_mode_allow decides then.
func (a *authorization) Check(ctx context.Context, req *auth.CheckRequest) (*auth.CheckResponse, error) {
	s := a.server
	p := s.pointOf(grpcToken(ctx), grpcNames(ctx), grpcAddress(ctx))
	if p == nil {
		s.refuse("no enforcement point authenticated", "grpc")
		return nil, grpcstatus.Error(codes.Unauthenticated, "authenticate as an enforcement point: metadata authorization: Bearer TOKEN, or a client certificate")
	}
	t := s.opts.Table()
	if t == nil {
		s.metrics.answered(p.Name, "standby")
		return nil, grpcstatus.Error(codes.Unavailable, "this process does not read the sources now")
	}
	d, err := s.ask(p, t, p.question(seenBy(req)))
	if err != nil {
		return denied(http.StatusForbidden, nil, err.Error()), nil
	}
	if p.passes(&d) {
		return &auth.CheckResponse{
			Status:       &status.Status{Code: int32(codes.OK)},
			HttpResponse: &auth.CheckResponse_OkResponse{OkResponse: &auth.OkHttpResponse{Headers: options(&d)}},
		}, nil
	}
	return denied(p.status(&d), options(&d), refusal(&d)), nil
}

func denied(code int, headers []*core.HeaderValueOption, text string) *auth.CheckResponse {
	return &auth.CheckResponse{
		Status: &status.Status{Code: int32(codes.PermissionDenied)},
		HttpResponse: &auth.CheckResponse_DeniedResponse{DeniedResponse: &auth.DeniedHttpResponse{
			Status: &envoy.HttpStatus{Code: envoy.StatusCode(code)}, Headers: headers, Body: text + "\n",
		}},
	}
}

// options returns the headers of an answer. They replace headers of the same name, which an agent may have set.
func options(d *schema.Decision) (out []*core.HeaderValueOption) {
	h := headers(d)
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		out = append(out, &core.HeaderValueOption{
			Header:       &core.HeaderValue{Key: name, Value: h[name]},
			AppendAction: core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
		})
	}
	return out
}

// seenBy returns a request as Envoy shows it.
func seenBy(req *auth.CheckRequest) *seen {
	attributes := req.GetAttributes()
	r := attributes.GetRequest().GetHttp()
	body := r.GetRawBody()
	if len(body) == 0 {
		body = []byte(r.GetBody())
	}
	claims := attributes.GetMetadataContext().GetFilterMetadata()[jwtFilter]
	return &seen{
		method: r.GetMethod(), path: r.GetPath(), peer: attributes.GetSource().GetPrincipal(), body: body,
		header: func(name string) string {
			if name == "" {
				return ""
			}
			return r.GetHeaders()[strings.ToLower(name)]
		},
		claim: func(name string) string { return claimOf(claims, name) },
	}
}

// claimOf returns a claim as text. Envoy keeps the claims of a token in an object of its own, under a key of the configuration;
// of several such objects the first in order of key that has the claim counts.
func claimOf(claims *structpb.Struct, name string) string {
	fields := claims.GetFields()
	if v, ok := fields[name]; ok {
		return v.GetStringValue()
	}
	keys := make([]string, 0, len(fields))
	for k := range fields {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		if v, ok := fields[k].GetStructValue().GetFields()[name]; ok {
			return v.GetStringValue()
		}
	}
	return ""
}

func grpcToken(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	for _, v := range md.Get("authorization") {
		if t, ok := strings.CutPrefix(v, "Bearer "); ok {
			return t
		}
	}
	for _, v := range md.Get("x-api-key") {
		return v
	}
	return ""
}

func grpcNames(ctx context.Context) (names []string) {
	p, _ := peer.FromContext(ctx)
	if p == nil {
		return nil
	}
	if info, ok := p.AuthInfo.(credentials.TLSInfo); ok {
		for _, chain := range info.State.VerifiedChains {
			names = append(names, chain[0].Subject.CommonName)
		}
	}
	return names
}

func grpcAddress(ctx context.Context) string {
	if p, _ := peer.FromContext(ctx); p != nil {
		return p.Addr.String()
	}
	return ""
}
