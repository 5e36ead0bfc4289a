package postgres_test

import (
	"bytes"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy stands between driver and server and breaks what passes through it.
type proxy struct {
	listener net.Listener
	server   string
	open     sync.WaitGroup

	down       atomic.Bool // refuse: close each connection at once
	loseAnswer atomic.Bool // let the COMMIT of a transaction that writes pass, and its answer not
	lost       atomic.Int64
}

// through returns the connection string that leads to dsn's server over a proxy.
func through(t testing.TB, dsn string) (string, *proxy) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{server: u.Host}
	if p.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	p.open.Go(p.accept)
	t.Cleanup(func() {
		_ = p.listener.Close()
		p.open.Wait()
	})
	u.Host = p.listener.Addr().String()
	return u.String(), p
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.open.Go(func() { p.serve(client) })
	}
}

func (p *proxy) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	if p.down.Load() {
		return
	}
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	var mute atomic.Bool
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if mute.Load() { // the server has done it
				p.lost.Add(1)
				_ = client.Close()
				return
			}
			if n > 0 {
				if _, err := client.Write(buf[:n]); err != nil {
					return
				}
			}
			if err != nil {
				_ = client.Close()
				return
			}
		}
	}()
	writes := false
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			break
		}
		writes = writes || bytes.Contains(buf[:n], []byte("ROW EXCLUSIVE"))
		if p.loseAnswer.Load() && writes && bytes.Contains(buf[:n], []byte("commit")) {
			mute.Store(true)
		}
		if _, err := server.Write(buf[:n]); err != nil {
			break
		}
	}
	_ = server.Close()
	<-answered
}
