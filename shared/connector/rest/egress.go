package rest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// baseURL accepts an absolute https URL of a declared host, without userinfo,
// query, fragment or port. In the emulator it may be http, with any host and
// port: there the guard lets through nothing but the machine's own network.
func baseURL(raw string, hosts []string, emulator bool) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Opaque != "" {
		return nil, errors.New("it is not an absolute URL")
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(raw, "#") {
		return nil, errors.New("it must hold a scheme, a host and a path only")
	}
	if emulator && (u.Scheme == "http" || u.Scheme == "https") {
		return u, nil
	}
	switch {
	case u.Scheme != "https":
		return nil, errors.New("it must begin with https://")
	case u.Port() != "" && u.Port() != "443":
		return nil, errors.New("it must use port 443")
	case !declared(u.Hostname(), hosts):
		return nil, errors.New("its host is not among the connector's hosts")
	}
	return u, nil
}

// declared reports whether host is one of hosts, or one label below a host
// written "*.example.com".
func declared(host string, hosts []string) bool {
	return slices.ContainsFunc(hosts, func(h string) bool {
		suffix, wild := strings.CutPrefix(h, "*")
		if !wild {
			return host == h
		}
		label, ok := strings.CutSuffix(host, suffix)
		return ok && label != "" && !strings.Contains(label, ".")
	})
}

// resolver is net.Resolver's look-up, as the guard needs it.
type resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// guard dials only addresses it has checked itself: the name is resolved once
// and the checked address is dialled, so that a second answer of the name
// server cannot lead elsewhere.
type guard struct {
	emulator bool
	resolve  resolver                                                          // net.DefaultResolver when nil
	dial     func(ctx context.Context, network, addr string) (net.Conn, error) // net.Dialer when nil
}

// egressError is a refusal of the guard. It names no address.
type egressError struct{ why string }

func (e *egressError) Error() string { return e.why }

func (g guard) dialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, &egressError{"the host and port cannot be read"}
	}
	resolve, dial := g.resolve, g.dial
	if resolve == nil {
		resolve = net.DefaultResolver
	}
	if dial == nil {
		dial = (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: -1}).DialContext
	}
	ips, err := resolve.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	// One forbidden address spoils them all: which one would be dialled is not
	// for the name server to choose.
	for _, ip := range ips {
		if !g.allows(ip) {
			return nil, &egressError{"the host's address is not one a vendor may have"}
		}
	}
	err = fmt.Errorf("the host has no address")
	for _, ip := range ips {
		var conn net.Conn
		if conn, err = dial(ctx, network, net.JoinHostPort(ip.Unmap().String(), port)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// allows reports whether an address may be dialled: on the internet only public
// ones, in the emulator only those of the machine and its private network.
func (g guard) allows(ip netip.Addr) bool {
	if ip.Zone() != "" {
		return false
	}
	ip = ip.Unmap()
	if g.emulator {
		return ip.IsLoopback() || ip.IsPrivate()
	}
	return public(ip)
}

// reserved4 and reserved6 are the blocks of the IANA special-purpose address
// registries (RFC 6890 and its updates) that lie inside unicast space and that
// no vendor has. In IPv6 only 2000::/3 is public to begin with, which leaves
// out ::/96, mapped and NAT64 forms, unique local, link-local and multicast.
var (
	reserved4 = prefixes(
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
		"192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
		"192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
	)
	global6   = netip.MustParsePrefix("2000::/3")
	reserved6 = prefixes("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(list))
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// public reports whether an unmapped address is on the public internet.
func public(ip netip.Addr) bool {
	within := func(p netip.Prefix) bool { return p.Contains(ip) }
	if ip.Is4() {
		return !slices.ContainsFunc(reserved4, within)
	}
	return global6.Contains(ip) && !slices.ContainsFunc(reserved6, within)
}

// newTransport returns the way onto the network: guarded, without proxy,
// without transparent decompression (a small answer must not grow past its
// cap), HTTP/1.1 only (the HTTP/2 client sends requests again on its own).
// Idle connections live shortly: a Lambda sleeps between calls, and a
// connection that died meanwhile would cost an unknown outcome.
func newTransport(g guard) *http.Transport {
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            g.dialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{},
		TLSHandshakeTimeout:    10 * time.Second,
		DisableCompression:     true,
		MaxIdleConns:           4,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        5 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}
