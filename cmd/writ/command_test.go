package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"testing"
)

func greet() command {
	return command{name: "greet", args: "NAME", summary: "greet somebody", setup: func(flags *flag.FlagSet) runner {
		loud := flags.Bool("loud", false, "shout")
		return func(_ context.Context, c console, args []string) error {
			if len(args) != 1 {
				return usage("give one name, not %d", len(args))
			}
			if args[0] == "nobody" {
				return errors.Join(errors.New("nobody is there"), errors.New("try again"))
			}
			word := "hello"
			if *loud {
				word = "HELLO"
			}
			return c.print(map[string]string{"word": word, "name": args[0]}, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, word, args[0])
				return err
			})
		}
	}}
}

func TestFrame(t *testing.T) {
	for _, c := range []struct {
		args      string
		code      int
		out, errs string // what must be in them; "" for empty
	}{
		{"greet Ada", exitDone, "hello Ada\n", ""},
		{"greet --loud --json Ada", exitDone, `"word": "HELLO"`, ""},
		{"greet", exitUsage, "", "writ greet: give one name, not 0: see writ greet -h\n"},
		{"greet --no-such Ada", exitUsage, "", "no-such"},
		{"greet nobody", exitFailed, "", "writ greet: nobody is there; try again\n"},
		{"greet -h", exitDone, "Usage: writ greet [flags] NAME", ""},
		{"dance", exitUsage, "", `no subcommand "dance"`},
		{"help", exitDone, "greet somebody", ""},
		{"", exitUsage, "", "greet somebody"},
	} {
		var out, errs bytes.Buffer
		code := run(t.Context(), []command{greet()}, strings.Fields(c.args), &out, &errs)
		if code != c.code {
			t.Errorf("writ %s: exit status %d, want %d", c.args, code, c.code)
		}
		for name, pair := range map[string][2]string{"output": {out.String(), c.out}, "errors": {errs.String(), c.errs}} {
			if got, want := pair[0], pair[1]; (want == "") != (got == "") || !strings.Contains(got, want) {
				t.Errorf("writ %s: %s are %q, want %q in them", c.args, name, got, want)
			}
		}
	}
}

func TestEverySubcommandExplainsItself(t *testing.T) {
	for _, cmd := range commands() {
		var out, errs bytes.Buffer
		if code := run(t.Context(), commands(), []string{cmd.name, "-h"}, &out, &errs); code != exitDone {
			t.Errorf("writ %s -h: exit status %d: %s", cmd.name, code, errs.String())
		}
		if cmd.summary == "" || !strings.Contains(out.String(), cmd.summary) || !strings.Contains(out.String(), "-json") {
			t.Errorf("writ %s -h does not tell what it does and its flags:\n%s", cmd.name, out.String())
		}
	}
}
