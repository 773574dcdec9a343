package decision

import (
	"net"
	"testing"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/aidr-engine/aidr/schema"
)

// TestGRPC checks Envoy's interface with a client of its own protocol definitions.
func TestGRPC(t *testing.T) {
	table := newFakeTable()
	s, _ := newServer(t, table, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	s.Register(g)
	go g.Serve(l)
	t.Cleanup(g.Stop)
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	client := auth.NewAuthorizationClient(conn)
	check := func(token string, headers map[string]string, claims map[string]any, body string) (*auth.CheckResponse, error) {
		t.Helper()
		req := &auth.CheckRequest{Attributes: &auth.AttributeContext{
			Request: &auth.AttributeContext_Request{Http: &auth.AttributeContext_HttpRequest{
				Method: "POST", Path: "/mcp?x=1", Headers: headers, Body: body,
			}},
		}}
		if claims != nil {
			fields, err := structpb.NewStruct(claims)
			if err != nil {
				t.Fatal(err)
			}
			req.Attributes.MetadataContext = &core.Metadata{FilterMetadata: map[string]*structpb.Struct{jwtFilter: fields}}
		}
		return client.Check(metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token), req)
	}
	if _, err := check("wrong", nil, nil, ""); grpcstatus.Code(err) != codes.Unauthenticated {
		t.Errorf("a wrong token: got %v", err)
	}
	r, err := check(gateToken, map[string]string{"x-agent": "a"}, nil, "")
	if err != nil || r.Status.Code != int32(codes.OK) || r.GetOkResponse() == nil {
		t.Errorf("got %v, error %v, want OK", r, err)
	}
	if q := table.last(); q != (schema.Question{Agent: "a", Route: "POST /mcp", Point: "gate"}) {
		t.Errorf("asked %+v", q)
	}
	r, err = check(gateToken, map[string]string{"x-agent": "a"}, nil, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"deny","arguments":{"a":1}}}`)
	if err != nil || r.Status.Code != int32(codes.PermissionDenied) || r.GetDeniedResponse().GetStatus().GetCode() != 403 {
		t.Errorf("got %v, error %v, want a refusal", r, err)
	}
	if q := table.last(); q.Tool != "deny" || q.Arguments != hashArguments([]byte(`{"a":1}`)) {
		t.Errorf("asked %+v, want the tool of the body", q)
	}
	for _, claims := range []map[string]any{{"sub": "throttle"}, {"payload": map[string]any{"sub": "throttle"}}} {
		r, err = check(strictGate, map[string]string{"sub": "allow"}, claims, "")
		if err != nil || r.GetDeniedResponse().GetStatus().GetCode() != 429 {
			t.Errorf("claims %v: got %v, error %v, want 429", claims, r, err)
		}
	}
	r, err = check(strictGate, nil, map[string]any{"sub": "unknown"}, "")
	if err != nil || r.GetDeniedResponse().GetStatus().GetCode() != 403 {
		t.Errorf("an unknown table at a strict point: got %v, error %v, want 403", r, err)
	}
	r, err = check(strictGate, map[string]string{"x-agent": "allow"}, nil, "")
	if err != nil || r.GetDeniedResponse().GetStatus().GetCode() != 403 {
		t.Errorf("a request without the claim: got %v, error %v, want 403", r, err)
	}
}
