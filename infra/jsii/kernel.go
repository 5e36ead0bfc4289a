// Package jsii drives the official jsii kernel, the Node process behind every
// non-JavaScript CDK library, over its own protocol: one JSON value a line on
// the process's standard input and output. It offers the few calls that
// building constructs needs; docs/adr/0002 tells why it exists.
package jsii

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// Runtime is the program, below node_modules, that speaks the protocol.
const Runtime = "@jsii/runtime/webpack/bin/jsii-runtime.js"

// Ref names an object that lives in the kernel. The zero Ref is no object.
type Ref struct {
	id string
}

// IsZero reports whether the Ref names no object.
func (r Ref) IsZero() bool { return r.id == "" }

// MarshalJSON writes the Ref as the kernel expects it in arguments.
func (r Ref) MarshalJSON() ([]byte, error) {
	if r.id == "" {
		return []byte("null"), nil
	}
	return json.Marshal(map[string]string{"$jsii.byref": r.id})
}

// Enum is a member of a JavaScript enumeration, "<type>/<MEMBER>".
type Enum string

// MarshalJSON writes the Enum as the kernel expects it in arguments.
func (e Enum) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"$jsii.enum": string(e)})
}

// Map is a struct or map argument; its keys are the JavaScript property names.
type Map = map[string]any

// Value is what a property or a method gave back. Its zero value is undefined.
type Value struct {
	any any
}

// Text is a string, number or truth value as text, empty for anything else.
func (v Value) Text() string {
	switch v.any.(type) {
	case string, float64, bool:
		return fmt.Sprint(v.any)
	}
	return ""
}

// Ref is the value as an object, zero when it is none.
func (v Value) Ref() Ref {
	m, _ := v.any.(map[string]any)
	id, _ := m["$jsii.byref"].(string)
	return Ref{id: id}
}

// Kernel is one kernel process. Calls after a failure do nothing and answer
// zero values, so that a tree of constructs reads as a list of declarations;
// Err tells the first failure. A Kernel serves one goroutine.
type Kernel struct {
	in     io.WriteCloser
	out    *bufio.Reader
	wait   func() error
	stderr *console
	err    error

	modules string // node_modules folder that packages are loaded from
	cache   string
}

// Start runs the kernel found below modules, a node_modules folder, and keeps
// the kernel's package cache in cache. Its console goes to log.
func Start(modules, cache string, log io.Writer) (*Kernel, error) {
	program := filepath.Join(modules, filepath.FromSlash(Runtime))
	if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("starting the jsii kernel: %s is missing: run npm ci in the project's root", Runtime)
	}
	cmd := exec.Command("node", program)
	cmd.Env = append(os.Environ(),
		"JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=20", // old, but this library still runs on it
		"JSII_AGENT=Go",
		"JSII_RUNTIME_PACKAGE_CACHE_ROOT="+cache)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the jsii kernel: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the jsii kernel: %w", err)
	}
	stderr := &console{to: log}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the jsii kernel: %w: Node is needed on the PATH", err)
	}
	k := &Kernel{in: in, out: bufio.NewReaderSize(out, 1<<16), wait: cmd.Wait, stderr: stderr, modules: modules, cache: cache}
	if err := k.greet(); err != nil {
		_ = k.Close()
		return nil, err
	}
	return k, nil
}

func (k *Kernel) greet() error {
	var hello struct {
		Hello string `json:"hello"`
	}
	line, err := k.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &hello)
	}
	if err != nil || !strings.HasPrefix(hello.Hello, "@jsii/runtime@") {
		return fmt.Errorf("starting the jsii kernel: no greeting from it: %s", k.stderr.last())
	}
	return nil
}

// Close ends the process and waits for it.
func (k *Kernel) Close() error {
	_, werr := io.WriteString(k.in, `{"exit":0}`+"\n")
	_ = k.in.Close()
	return errors.Join(werr, k.wait())
}

// Err is the first failure, in one line, or nil.
func (k *Kernel) Err() error { return k.err }

// Create makes an instance of the class fqn.
func (k *Kernel) Create(fqn string, args ...any) Ref {
	return Value{k.call("creating "+fqn, request{API: "create", FQN: fqn, Args: args})}.Ref()
}

// Invoke calls a method of an object.
func (k *Kernel) Invoke(on Ref, method string, args ...any) Value {
	return k.result("result", "calling "+on.id+"."+method, request{API: "invoke", Objref: &on, Method: method, Args: args})
}

// InvokeStatic calls a static method of the class fqn.
func (k *Kernel) InvokeStatic(fqn, method string, args ...any) Value {
	return k.result("result", "calling "+fqn+"."+method, request{API: "sinvoke", FQN: fqn, Method: method, Args: args})
}

// Get reads a property of an object.
func (k *Kernel) Get(on Ref, property string) Value {
	return k.result("value", "reading "+on.id+"."+property, request{API: "get", Objref: &on, Property: property})
}

// GetStatic reads a static property of the class fqn.
func (k *Kernel) GetStatic(fqn, property string) Value {
	return k.result("value", "reading "+fqn+"."+property, request{API: "sget", FQN: fqn, Property: property})
}

type request struct {
	API      string `json:"api"`
	FQN      string `json:"fqn,omitempty"`
	Objref   *Ref   `json:"objref,omitempty"`
	Method   string `json:"method,omitempty"`
	Property string `json:"property,omitempty"`
	Args     []any  `json:"args,omitempty"`
	Name     string `json:"name,omitempty"`
	Version  string `json:"version,omitempty"`
	Tarball  string `json:"tarball,omitempty"`
}

func (k *Kernel) result(field, doing string, r request) Value {
	m, _ := k.call(doing, r).(map[string]any)
	return Value{m[field]}
}

// call sends one request and reads its answer.
func (k *Kernel) call(doing string, r request) any {
	if k.err != nil {
		return nil
	}
	if r.Objref != nil && r.Objref.IsZero() {
		k.err = fmt.Errorf("%s: there is no such object", doing)
		return nil
	}
	ok, err := k.exchange(r)
	if err != nil {
		k.err = fmt.Errorf("%s: %w", doing, err)
	}
	return ok
}

func (k *Kernel) exchange(r request) (any, error) {
	line, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("writing the call: %w", err)
	}
	if _, err := k.in.Write(append(line, '\n')); err != nil {
		return nil, fmt.Errorf("the jsii kernel ended: %s", k.stderr.last())
	}
	line, err = k.out.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("the jsii kernel ended: %s", k.stderr.last())
	}
	var answer struct {
		OK       any             `json:"ok"`
		Error    string          `json:"error"`
		Callback json.RawMessage `json:"callback"`
	}
	switch err := json.Unmarshal(line, &answer); {
	case err != nil:
		return nil, fmt.Errorf("reading the kernel's answer: %w", err)
	case answer.Error != "":
		return nil, errors.New(oneLine(answer.Error))
	case answer.Callback != nil:
		return nil, errors.New("the kernel asked for a callback, which this client never offers")
	}
	return answer.OK, nil
}

// oneLine joins a message of several lines, of which the kernel has many.
func oneLine(s string) string {
	return strings.Join(strings.Fields(s), " ")
}

// console unwraps what the kernel's process prints: lines of JSON that hold
// its standard output or error in base64. Everything else passes as it is.
type console struct {
	mu   sync.Mutex
	to   io.Writer
	part []byte
	tail string
}

// Write takes a piece of the process's standard error.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.part = append(c.part, p...)
	for {
		line, rest, found := strings.Cut(string(c.part), "\n")
		if !found {
			return len(p), nil
		}
		c.part = []byte(rest)
		text := decode(line)
		if t := strings.TrimSpace(text); t != "" {
			c.tail = t
		}
		if _, err := io.WriteString(c.to, text); err != nil {
			return 0, fmt.Errorf("passing on the kernel's console: %w", err)
		}
	}
}

func decode(line string) string {
	var wrapped struct{ Stdout, Stderr string }
	if json.Unmarshal([]byte(line), &wrapped) != nil {
		return line + "\n"
	}
	text, err := base64.StdEncoding.DecodeString(wrapped.Stdout + wrapped.Stderr)
	if err != nil {
		return line + "\n"
	}
	return string(text)
}

// last is the latest thing the process printed, in one line.
func (c *console) last() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tail == "" {
		return "it printed nothing"
	}
	return oneLine(c.tail)
}
