package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/writ-dsr/writ/infra/stand"
	"github.com/writ-dsr/writ/infra/stand/person"
	"github.com/writ-dsr/writ/shared/connectors/stripe/stripefake"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/policy"
)

// walkWithin bounds the two requests; they take seconds.
const walkWithin = 5 * time.Minute

// walked is what the demo's two requests came to.
type walked struct {
	Requests []walkedRequest `json:"requests"`
}

// walkedRequest is one request from the form to its answer.
type walkedRequest struct {
	ID       dsr.RequestID   `json:"id"`
	Right    dsr.Right       `json:"right"`
	Seconds  float64         `json:"seconds"`
	Outcomes []walkedOutcome `json:"outcomes"`
	Wrong    []string        `json:"wrong"` // what is not as it should be; empty when all is well
}

// walkedOutcome is the result of one system for one category.
type walkedOutcome struct {
	System   string          `json:"system"`
	Category string          `json:"category"`
	Kind     dsr.OutcomeKind `json:"outcome"`
	Count    int             `json:"count"`
}

func (w walked) write(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, r := range w.Requests {
		_, _ = fmt.Fprintf(t, "\n%s, request %s, %.1f s\n", r.Right, r.ID, r.Seconds)
		_, _ = fmt.Fprint(t, "SYSTEM\tCATEGORY\tOUTCOME\tCOUNT\n")
		for _, o := range r.Outcomes {
			_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%d\n", o.System, o.Category, o.Kind, o.Count)
		}
		for _, wrong := range r.Wrong {
			_, _ = fmt.Fprintf(t, "WRONG: %s\n", wrong)
		}
	}
	return t.Flush()
}

// walker takes the demo's two people through their requests.
type walker struct {
	*stand.Stand
	pack      *policy.Company
	stripe    *stripefake.Fake
	customers map[any]string   // addresses of the payment company's customers, by id
	staff     []*person.Person // the company's employees
	say       func(string)
}

// walk runs one access and one erasure as people would, employees included, and
// checks every outcome.
func (w walker) walk(ctx context.Context) (walked, error) {
	ctx, cancel := context.WithTimeout(ctx, walkWithin)
	defer cancel()
	working, enough := context.WithCancel(ctx)
	g, working := errgroup.WithContext(working)
	for _, employee := range w.staff {
		g.Go(func() error { return employee.Work(working, dutiful) })
	}
	var result walked
	g.Go(func() error {
		defer enough()
		for _, request := range []func(context.Context) (walkedRequest, error){w.access, w.erasure} {
			r, err := request(working)
			result.Requests = append(result.Requests, r)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return result, err
	}
	for _, r := range result.Requests {
		if len(r.Wrong) > 0 {
			return result, fmt.Errorf("the %s request came out wrong: %s", r.Right, strings.Join(r.Wrong, "; "))
		}
	}
	return result, nil
}

// keepWorking has the employees answer their tasks until ctx ends; a task that
// cannot be answered is told and left.
func (w walker) keepWorking(ctx context.Context) {
	var g sync.WaitGroup
	for _, employee := range w.staff {
		g.Go(func() {
			for {
				_, link, err := employee.Mail(ctx, "/task")
				if err != nil {
					return
				}
				if _, err := employee.AnswerTask(ctx, link, dutiful); err != nil && ctx.Err() == nil {
					w.say("An employee could not answer a task: " + err.Error())
				}
			}
		})
	}
	g.Wait()
}

// dutiful is how the demo's employees answer: they found and did what the task asks.
func dutiful(task *person.Page) string {
	if strings.HasPrefix(task.Heading(), "Find") {
		return "nothing_held"
	}
	return "done"
}

// ask takes a person from the form to the confirmed request.
func (w walker) ask(ctx context.Context, p *person.Person, r person.Request) (dsr.RequestID, error) {
	code, err := p.Ask(ctx, w.Front, r)
	if err != nil {
		return "", err
	}
	_, link, err := p.Mail(ctx, "/confirm")
	if err != nil {
		return "", err
	}
	page, err := p.Confirm(ctx, link, code)
	if err != nil {
		return "", err
	}
	id := reference.FindString(page.Text())
	if id == "" {
		return "", fmt.Errorf("the page %q after the confirmation names no reference", page.Heading())
	}
	return dsr.ParseRequestID(id)
}

var reference = regexp.MustCompile(`\bw[a-z2-7]{25}\b`)

// outcomes reads what the ledger says of a request.
func (w walker) outcomes(ctx context.Context, id dsr.RequestID) ([]walkedOutcome, error) {
	visits, err := w.Ledger().Visits(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("reading the outcomes: %w", err)
	}
	var all []walkedOutcome
	for _, v := range visits {
		for _, o := range v.Outcomes {
			all = append(all, walkedOutcome{System: v.System, Category: o.Category, Kind: o.Kind, Count: o.Count})
		}
		if len(v.OpenOutcomes()) > 0 || !v.Settled() {
			return all, fmt.Errorf("the visit %s is not settled", v.Task())
		}
	}
	slices.SortStableFunc(all, func(a, b walkedOutcome) int { return strings.Compare(a.System, b.System) })
	return all, nil
}

// begin tells what comes.
func (w walker) begin(right dsr.Right, p *person.Person) walkedRequest {
	w.say(fmt.Sprintf("%s asks for %s: the form, the mail, the code", p.Email, right))
	return walkedRequest{Right: right, Wrong: []string{}}
}

func (r *walkedRequest) expect(ok bool, format string, args ...any) {
	if !ok {
		r.Wrong = append(r.Wrong, fmt.Sprintf(format, args...))
	}
}

// count is how much of a category a system reported under an outcome.
func (r *walkedRequest) count(h holding, kind dsr.OutcomeKind) (n int) {
	for _, o := range r.Outcomes {
		if (holding{o.System, o.Category}) == h && o.Kind == kind {
			n += o.Count
		}
	}
	return n
}
