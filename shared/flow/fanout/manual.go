package fanout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"time"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/platform/mail"
	"github.com/writ-dsr/writ/shared/policy"
)

// ManualInput is what the machine hands to FanoutManual, and to Attention with
// System "writ" and the task token "none".
type ManualInput struct {
	V         int           `json:"v"`
	RequestID dsr.RequestID `json:"request_id"`
	Run       int           `json:"run"`
	System    string        `json:"system"`
	Phase     dsr.Phase     `json:"phase"`
	Cause     string        `json:"cause"`
	TaskToken string        `json:"task_token"`
}

// ManualOutput says nothing: the machine waits for the token.
type ManualOutput struct{}

// Released is what the machine gets when a person's task ends.
type Released struct {
	V      int    `json:"v"`
	Status string `json:"status"` // done, again
}

// The two ways a person's task ends for the machine.
const (
	releasedDone  = "done"
	releasedAgain = "again"
)

// Self is the system name of Writ's own trouble: a fault in a stage.
const Self = "writ"

// ManualLedger is what opening a task reads and writes.
type ManualLedger interface {
	dossier.Ledger
	SaveRequest(ctx context.Context, r ledger.Request) error
	SaveVisit(ctx context.Context, v dsr.Visit) error
	TakeVisit(ctx context.Context, id dsr.RequestID, task string, run int, now, until time.Time) (dsr.Visit, error)
	Visits(ctx context.Context, id dsr.RequestID) ([]dsr.Visit, error)
	PutToken(ctx context.Context, t ledger.Token) error
	Append(ctx context.Context, e dsr.Event) error
}

// Mailer sends one message; the same seed makes the same message again.
type Mailer interface {
	Send(ctx context.Context, m mail.Message, seed string) (messageID string, err error)
}

// Releaser ends a wait of the machine.
type Releaser interface {
	Release(ctx context.Context, taskToken string, output any) error
}

// Manual opens people's tasks.
type Manual struct {
	Company *policy.Company
	Officer string // the privacy officer's address: who has it when nobody else does
	Ledger  ManualLedger
	Keys    dossier.Keys
	Mail    Mailer
	Machine Releaser
	Now     func() time.Time
	Log     *slog.Logger
	Metric  Counter
	URL     string
}

// linkLife is how long a task's link works: past any due date, because an
// answer after the partial answer still counts.
const linkLife = 120 * 24 * time.Hour

// longestLease is that of a function that may run for 15 minutes.
const longestLease = 15*time.Minute + leaseSlack

// OfficerRole is the role of the privacy officer, who has what no role has.
const OfficerRole = "privacy_officer"

// Handle opens a task once, mails its assignee, and keeps the machine's token;
// at a later attempt or run it only replaces the token. Where nobody can finish
// in time it lets the machine go on with the truth: deferred.
func (m *Manual) Handle(ctx context.Context, in ManualInput) (ManualOutput, error) {
	if in.System == Self {
		return ManualOutput{}, m.Attention(ctx, in.RequestID, in.Run, in.Cause)
	}
	d, err := dossier.Open(ctx, m.Ledger, m.Keys, in.RequestID)
	if err != nil {
		return ManualOutput{}, err
	}
	r, now := d.Request, m.Now()
	if r.Run != in.Run || (r.Status != dsr.Running && r.Status != dsr.Answered) {
		return ManualOutput{}, m.release(ctx, in, releasedDone)
	}
	// The machine asks a person after the visit's own function has ended, maybe
	// by a crash: the lease that one left is void, and the fence stops its writes.
	v, err := m.Ledger.TakeVisit(ctx, in.RequestID, dsr.Visit{System: in.System, Phase: in.Phase}.Task(), in.Run, now.Add(longestLease), now.Add(time.Minute))
	switch {
	case errors.Is(err, ledger.ErrSettled):
		return ManualOutput{}, m.release(ctx, in, releasedDone)
	case err != nil:
		return ManualOutput{}, fmt.Errorf("taking the visit of system %s: %w", in.System, err)
	}
	if now.Before(v.NotBefore) {
		if err := coolOff(ctx, m.Ledger, v, now); err != nil {
			return ManualOutput{}, err
		}
		return ManualOutput{}, m.release(ctx, in, releasedDone)
	}
	if v.Recipient != "" && v.Person == nil {
		ended, err := m.tell(ctx, d, v)
		if err != nil {
			return ManualOutput{}, err
		}
		if ended {
			return ManualOutput{}, m.release(ctx, in, releasedDone)
		}
	}
	margin, err := marginOf(m.Company, r)
	if err != nil {
		return ManualOutput{}, err
	}
	fresh := v.Person == nil || (!v.Person.AnsweredAt.IsZero() && v.Person.Answer == connector.AnswerAgain)
	if fresh {
		role, err := m.role(ctx, r, v)
		if err != nil {
			return ManualOutput{}, err
		}
		v.Person = &dsr.PersonTask{Assignee: role, Instruction: in.System, Cause: causeOf(v, in.Cause), OpenedAt: now, Due: margin}
		if v.Status == dsr.VisitPlanned {
			v.Status = dsr.VisitWithPerson
		}
	}
	v.Person.SealedWait = dossier.SealWait(d.Box, in.RequestID, v.Task(), in.TaskToken)
	v.LeaseUntil = time.Time{}
	if fresh { // before the save: rather two mails than none
		if err := m.ask(ctx, r, v, margin); err != nil {
			return ManualOutput{}, err
		}
	}
	if err := m.Ledger.SaveVisit(ctx, v); err != nil {
		return ManualOutput{}, fmt.Errorf("opening the task of system %s: %w", in.System, err)
	}
	if r.AnsweredAt.IsZero() && now.Before(margin) {
		return ManualOutput{}, nil
	}
	// The task stays open and its link works; the machine does not wait for it.
	v, err = m.Ledger.TakeVisit(ctx, in.RequestID, v.Task(), in.Run, now, now.Add(time.Minute))
	if err != nil {
		return ManualOutput{}, fmt.Errorf("deferring the task of system %s: %w", in.System, err)
	}
	v.Person.SealedWait = nil
	if err := deferVisit(ctx, m.Ledger, v, now); err != nil {
		return ManualOutput{}, err
	}
	return ManualOutput{}, m.release(ctx, in, releasedDone)
}

func (m *Manual) release(ctx context.Context, in ManualInput, status string) error {
	return m.Machine.Release(ctx, in.TaskToken, Released{V: 1, Status: status})
}

// role is who does the task of a visit: the system's assignee; for a right that
// a person answers whom the pack names, and for an appeal somebody else than who
// answered first, as far as a role tells.
func (m *Manual) role(ctx context.Context, r ledger.Request, v dsr.Visit) (string, error) {
	if s, ok := m.Company.System(v.System); ok && s.Assignee != "" {
		return s.Assignee, nil
	}
	var roles []string
	for _, q := range m.Company.Requests {
		if v.System == dsr.Officer && q.By != "" && slices.Contains(v.Rights, q.Right) {
			roles = append(roles, q.By)
		}
	}
	roles = append(roles, OfficerRole)
	if r.Parent == "" || !slices.Contains(v.Rights, dsr.Appeal) {
		return roles[0], nil
	}
	first, err := m.Ledger.Visits(ctx, r.Parent)
	if err != nil {
		return "", fmt.Errorf("reading who answered request %s first: %w", r.Parent, err)
	}
	for _, role := range roles {
		if !slices.ContainsFunc(first, func(v dsr.Visit) bool { return v.Person != nil && v.Person.Assignee == role }) {
			return role, nil
		}
	}
	return roles[0], nil
}

// causeOf is why a person has the visit, where the machine knows only that it
// is a person's from the start.
func causeOf(v dsr.Visit, cause string) string {
	switch {
	case v.Recipient != "":
		return tellCause
	case v.System == dsr.Officer:
		return readCause
	}
	return cause
}

// address is where a role's mail goes: the pack's, else the officer's.
func address(c *policy.Company, officer, role string) string {
	if a, ok := c.Assignee(role); ok && role != OfficerRole {
		return a
	}
	return officer
}

// ask mails the assignee: system, due date and reference, no personal data.
func (m *Manual) ask(ctx context.Context, r ledger.Request, v dsr.Visit, due time.Time) error {
	now := m.Now()
	link, err := taskLink(ctx, m.Ledger, m.URL, r.ID, v.Task(), now)
	if err != nil {
		return err
	}
	message, err := taskLetter(m.Company, r.ID, systemName(m.Company, v.System), v.Person.Cause, due, link, false).Message(address(m.Company, m.Officer, v.Person.Assignee))
	if err != nil {
		return fmt.Errorf("writing the task of system %s: %w", v.System, err)
	}
	if _, err := m.Mail.Send(ctx, message, fmt.Sprintf("%s/task/%s/%d", r.ID, v.Task(), v.Fence)); err != nil {
		return fmt.Errorf("mailing the task of system %s: %w", v.System, err)
	}
	return m.Ledger.Append(ctx, dsr.Event{RequestID: r.ID, Chain: v.System, Kind: dsr.EventPersonAsked, At: now, Run: v.Run, Fence: v.Fence,
		Detail: map[string]any{"phase": string(v.Phase), "cause": v.Person.Cause, "role": v.Person.Assignee}})
}

// tokens is what making a link needs.
type tokens interface {
	PutToken(ctx context.Context, t ledger.Token) error
}

func taskLink(ctx context.Context, l tokens, base string, id dsr.RequestID, task string, now time.Time) (string, error) {
	secret, hash := ledger.NewSecret()
	if err := l.PutToken(ctx, ledger.Token{Hash: hash, RequestID: id, Purpose: ledger.TokenTask, Task: task, CreatedAt: now, Due: now.Add(linkLife)}); err != nil {
		return "", fmt.Errorf("recording the link of task %s: %w", task, err)
	}
	return base + "/task?t=" + url.QueryEscape(secret), nil
}

// systemName is the plain name of a system.
func systemName(c *policy.Company, system string) string {
	switch system {
	case Self:
		return "Writ itself"
	case dsr.Officer:
		return "the person's own words"
	}
	if i := slices.IndexFunc(c.Receivers, func(r policy.Recipient) bool { return dsr.RecipientSystem(r.ID) == system }); i >= 0 {
		return c.Receivers[i].Name
	}
	if s, ok := c.System(system); ok {
		return s.Name
	}
	return system
}

// taskLetter names system, due date and reference: nothing about the person.
func taskLetter(c *policy.Company, id dsr.RequestID, system, cause string, due time.Time, link string, remind bool) mail.Letter {
	l := mail.Letter{
		Subject: "Data request: please look at " + system,
		Lead:    "A data subject request needs you for " + system + ", by " + due.UTC().Format("2 January 2006") + ".",
		Parts: []mail.Part{
			{Text: why(cause)},
			{Text: "The page sends a code to this address before it shows what to look for.", Link: &mail.Link{Label: "Open the task", URL: link}},
		},
		Reference: string(id), Footer: "Sent by Writ for " + c.Name + ".",
	}
	if remind {
		l.Subject = "Reminder: " + l.Subject
	}
	return l
}

// why says in a sentence why a person has the task.
func why(cause string) string {
	switch cause {
	case connector.CauseManual:
		return "This system has no interface Writ can use, so a person looks there."
	case CauseMissingSecret:
		return "The secret that opens this system could not be read; the page names it."
	case connector.CauseUnauthorized:
		return "The system refused Writ's credential, or the credential lacks a permission."
	case connector.CauseUnsupported:
		return "The system cannot do this step by its interface."
	case connector.CauseUnknownEffect:
		return "A call may have had its effect and must not be sent twice; please look what is there."
	case connector.CauseStillThere:
		return "The system reported the data as erased, but it is still there."
	case connector.CauseCandidate:
		return "A record differs from the proved address in capital letters alone; only a person can tell whose it is."
	case connector.CauseNotLocated:
		return "Writ could not look in this system, so it must not say that nothing is held."
	case connector.CauseNotChanged:
		return "Something still reads as before, or no record there has the field."
	case connector.CauseInWords:
		return "What to correct was said in the person's own words, so a person reads them."
	case connector.CauseNotMarked:
		return "The system holds data of the person that Writ cannot mark, so a person stops their use."
	case tellCause:
		return "Data went to this recipient, who must hear what became of them."
	case readCause:
		return "Only a person can read this and answer it."
	case connector.CauseInvalid:
		return "The system refused the call, or its configuration does not fit."
	}
	return "A step failed and did not succeed when it was tried again."
}

// Attention gives a request an owner; the sweep calls it when runs keep ending.
func (m *Manual) Attention(ctx context.Context, id dsr.RequestID, run int, cause string) error {
	a := Attention{Company: m.Company, Officer: m.Officer, Ledger: m.Ledger, Mail: m.Mail, Now: m.Now, Log: m.Log, Metric: m.Metric, URL: m.URL}
	return a.Raise(ctx, id, run, cause)
}
