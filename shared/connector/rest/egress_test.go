package rest

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/writ-dsr/writ/shared/connector"
)

// hostile are addresses no vendor has: each must be refused however it is
// written.
var hostile = []string{
	"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.1.2.3", "127.255.255.254",
	"169.254.0.1", "169.254.169.254", "169.254.170.2", "169.254.169.253", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.8",
	"192.0.0.170", "192.0.2.1", "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.168.0.1", "192.168.255.255", "192.175.48.1",
	"198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
	"::", "::1", "::2", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00::1", "fd00:ec2::254", "ff02::1", "ff0e::1",
	"64:ff9b::a9fe:a9fe", "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:53aa:64c::", "2001:10::1", "2001:20::1",
	"2001:db8::1", "2002:7f00:1::", "2002:a9fe:a9fe::", "2002:808:808::", "2620:4f:8000::1", "3fff::1", "3fff:fff::1", "4000::1", "5f00::1",
}

var vendors = []string{"8.8.8.8", "54.187.174.169", "100.63.255.255", "100.128.0.1", "172.32.0.1", "192.0.1.1", "198.20.0.1", "223.255.255.255", "2600:1f18::1", "2a00:1450:4001::1", "2001:4860:4860::8888"}

// spellings writes an address in the other forms a resolver may return it in.
func spellings(s string) []netip.Addr {
	ip := netip.MustParseAddr(s)
	all := []netip.Addr{ip}
	if ip.Is4() {
		four := ip.As4()
		mapped := netip.AddrFrom16(ip.As16())
		compatible := netip.AddrFrom16([16]byte{12: four[0], 13: four[1], 14: four[2], 15: four[3]})
		sixToFour := netip.AddrFrom16([16]byte{0: 0x20, 1: 0x02, 2: four[0], 3: four[1], 4: four[2], 5: four[3]})
		nat64 := netip.AddrFrom16([16]byte{0: 0, 1: 0x64, 2: 0xff, 3: 0x9b, 12: four[0], 13: four[1], 14: four[2], 15: four[3]})
		all = append(all, mapped, compatible, sixToFour, nat64)
	}
	return all
}

func TestGuardRefusesAddresses(t *testing.T) {
	tried := 0
	for _, s := range hostile {
		for _, ip := range spellings(s) {
			tried++
			if (guard{}).allows(ip) {
				t.Errorf("%s (%s) is let through", ip, s)
			}
		}
	}
	if tried < 180 {
		t.Errorf("only %d addresses were tried", tried)
	}
	for _, s := range vendors {
		if !(guard{}).allows(netip.MustParseAddr(s)) {
			t.Errorf("%s is refused", s)
		}
		if (guard{emulator: true}).allows(netip.MustParseAddr(s)) {
			t.Errorf("%s is let through in the emulator", s)
		}
	}
	for _, s := range []string{"127.0.0.1", "::1", "172.17.0.1", "fd00::1"} {
		if !(guard{emulator: true}).allows(netip.MustParseAddr(s)) {
			t.Errorf("%s is refused in the emulator", s)
		}
	}
	if (guard{emulator: true}).allows(netip.MustParseAddr("169.254.169.254")) {
		t.Error("the metadata address is let through in the emulator")
	}
}

// names answers each look-up with the next of its answers, as a rebinding name
// server does.
type names struct {
	answers [][]netip.Addr
	asked   int
}

func (n *names) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	n.asked++
	if n.asked > len(n.answers) {
		return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
	}
	return n.answers[n.asked-1], nil
}

func addrs(list ...string) []netip.Addr {
	var all []netip.Addr
	for _, s := range list {
		all = append(all, netip.MustParseAddr(s))
	}
	return all
}

// TestGuardDialsWhatItChecked: the address that was checked is the one dialled,
// a second look-up never happens, and one bad address spoils the rest.
func TestGuardDialsWhatItChecked(t *testing.T) {
	for name, c := range map[string]struct {
		answers [][]netip.Addr
		dialled string
	}{
		"public":               {[][]netip.Addr{addrs("54.187.174.169")}, "54.187.174.169:443"},
		"mapped public":        {[][]netip.Addr{addrs("::ffff:54.187.174.169")}, "54.187.174.169:443"},
		"rebinding":            {[][]netip.Addr{addrs("54.187.174.169"), addrs("127.0.0.1")}, "54.187.174.169:443"},
		"private":              {[][]netip.Addr{addrs("10.0.0.1")}, ""},
		"public, then private": {[][]netip.Addr{addrs("54.187.174.169", "10.0.0.1")}, ""},
		"private, then public": {[][]netip.Addr{addrs("fd00::1", "54.187.174.169")}, ""},
		"no address":           {[][]netip.Addr{{}}, ""},
		"no name":              {nil, ""},
	} {
		var dialled []string
		resolve := &names{answers: c.answers}
		g := guard{resolve: resolve, dial: func(_ context.Context, _, addr string) (net.Conn, error) {
			dialled = append(dialled, addr)
			return nil, errors.New("no network here")
		}}
		if _, err := g.dialContext(t.Context(), "tcp", "api.vendor.example:443"); err == nil {
			t.Errorf("%s: connected", name)
		}
		if got := strings.Join(dialled, " "); got != c.dialled {
			t.Errorf("%s: dialled %q, want %q", name, got, c.dialled)
		}
		if resolve.asked != 1 {
			t.Errorf("%s: the name was looked up %d times", name, resolve.asked)
		}
	}
}

// TestNoHostileConnection: whole calls to a declared host whose name leads to
// each hostile address open no connection and say Invalid.
func TestNoHostileConnection(t *testing.T) {
	dials := 0
	for _, s := range hostile {
		c, err := New(connector.Config{System: "shop", Now: clock}, connector.Descriptor{Hosts: []string{"api.vendor.example"}}, Options{BaseURL: "https://api.vendor.example"})
		if err != nil {
			t.Fatal(err)
		}
		c.http.Transport = newTransport(guard{resolve: &names{answers: [][]netip.Addr{addrs(s)}}, dial: func(context.Context, string, string) (net.Conn, error) {
			dials++
			return nil, errors.New("dialled")
		}})
		_, err = c.Do(t.Context(), remove())
		if e := failure(t, err, connector.Invalid); e.Sent {
			t.Errorf("%s: the call is said to be sent", s)
		}
	}
	if dials > 0 {
		t.Errorf("%d connections were opened", dials)
	}
	if newTransport(guard{}).Proxy != nil {
		t.Error("a proxy of the environment would be used")
	}
}

func TestBaseURL(t *testing.T) {
	hosts := []string{"api.vendor.example", "*.region.vendor.example"}
	for raw, ok := range map[string]bool{
		"https://api.vendor.example": true, "https://api.vendor.example/": true, "https://api.vendor.example/v2": true,
		"https://api.vendor.example:443": true, "https://eu.region.vendor.example": true,
		"": false, "api.vendor.example": false, "//api.vendor.example": false, "https://": false, "https:api.vendor.example": false,
		"http://api.vendor.example": false, "ftp://api.vendor.example": false, "file:///etc/passwd": false, "gopher://api.vendor.example": false,
		"https://api.vendor.example:8443": false, "https://api.vendor.example:80": false, "https://key@api.vendor.example": false,
		"https://api.vendor.example@127.0.0.1": false, "https://api.vendor.example?x=1": false, "https://api.vendor.example?": false,
		"https://api.vendor.example#x": false, "https://api.vendor.example#": false, "https://api.vendor.example.": false,
		"https://API.vendor.example": false, "https://api.vendor.example.evil.example": false, "https://evil-api.vendor.example": false,
		"https://region.vendor.example": false, "https://a.b.region.vendor.example": false, "https://.region.vendor.example": false,
		"https://127.0.0.1": false, "https://2130706433": false, "https://0x7f000001": false, "https://0177.0.0.1": false, "https://127.1": false,
		"https://[::1]": false, "https://[::ffff:127.0.0.1]": false, "https://169.254.169.254": false, "https://localhost": false,
		"https://аpi.vendor.example": false, "https://api.vendor.example\\@evil.example": false, "https://api%2evendor.example": false,
		"https://api.vendor.example\n": false, " https://api.vendor.example": false,
	} {
		_, err := New(connector.Config{System: "shop", BaseURL: raw, Now: clock}, connector.Descriptor{Hosts: hosts}, Options{})
		if (err == nil) != ok {
			t.Errorf("%q is accepted: %v (%v)", raw, err == nil, err)
		}
		if err != nil && !errors.Is(err, connector.Invalid) {
			t.Errorf("%q: the kind is %s", raw, connector.KindOf(err))
		}
	}
	if _, err := New(connector.Config{System: "shop"}, connector.Descriptor{Hosts: hosts}, Options{BaseURL: "https://api.vendor.example"}); err == nil {
		t.Error("a configuration without a clock is accepted")
	}
}

func FuzzBaseURL(f *testing.F) {
	for _, s := range []string{"https://api.vendor.example", "https://api.vendor.example@127.0.0.1", "http://[::1]", "https://api.vendor.example:443/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := baseURL(raw, []string{"api.vendor.example"}, false)
		if err != nil {
			return
		}
		if u.Scheme != "https" || u.Hostname() != "api.vendor.example" || u.User != nil || u.RawQuery != "" || u.Port() != "" && u.Port() != "443" {
			t.Errorf("%q is accepted as %s", raw, u)
		}
	})
}
