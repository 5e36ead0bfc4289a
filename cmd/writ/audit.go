package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/ledger"
	"github.com/writ-dsr/writ/shared/ledger/audit"
	"github.com/writ-dsr/writ/shared/ledger/dynamo"
	"github.com/writ-dsr/writ/shared/platform/vault"
)

// evidence is where the audit reads: one request by its id, or all there are.
type evidence struct {
	auditor *audit.Auditor
	chains  func(ctx context.Context) (map[dsr.RequestID][]string, error)
}

func auditCommand() command {
	return command{
		name:    "audit",
		args:    "verify",
		summary: "check the evidence of requests: edits, gaps and cut tails of their event chains",
		setup: func(flags *flag.FlagSet) runner {
			request := flags.String("request", "", "id of the request to check")
			all := flags.Bool("all", false, "check every request")
			company := flags.String("company", "", "id of the company whose stack is read; without it WRIT_TABLE_REQUESTS, WRIT_TABLE_TASKS, WRIT_TABLE_EVENTS and WRIT_KEY_MAC say where")
			return func(ctx context.Context, c console, args []string) error {
				if len(args) == 0 || args[0] != "verify" {
					return usage("say what to do: writ audit verify")
				}
				// Flags may stand on both sides of the word.
				if err := flags.Parse(args[1:]); errors.Is(err, flag.ErrHelp) {
					auditCommand().help(c.out, flags)
					return nil
				} else if err != nil {
					return usageError{err}
				}
				c.json = flags.Lookup("json").Value.String() == "true"
				id, err := dsr.ParseRequestID(*request)
				switch {
				case flags.NArg() > 0:
					return usage("%q is one argument too many", flags.Arg(0))
				case *all == (*request != ""):
					return usage("give --request or --all")
				case !*all && err != nil:
					return usageError{err}
				}
				e, err := openEvidence(ctx, *company)
				if err != nil {
					return err
				}
				return e.verify(ctx, c, id)
			}
		},
	}
}

// audited is the result of the command.
type audited struct {
	Intact   bool           `json:"intact"`
	Requests []audit.Report `json:"requests"`
}

// verify checks one request, or all where id is empty. What is not intact is an
// error after the result was printed.
func (e evidence) verify(ctx context.Context, c console, id dsr.RequestID) error {
	chains := map[dsr.RequestID][]string{id: nil}
	if id == "" {
		var err error
		if chains, err = e.chains(ctx); err != nil {
			return err
		}
	}
	result, broken := audited{Requests: []audit.Report{}}, 0
	for _, id := range slices.Sorted(maps.Keys(chains)) {
		report, err := e.auditor.Verify(ctx, id, chains[id]...)
		if err != nil {
			return err
		}
		if !report.Intact() {
			broken++
		}
		result.Requests = append(result.Requests, report)
	}
	result.Intact = broken == 0
	if err := c.print(result, result.plain); err != nil {
		return err
	}
	if broken > 0 {
		return fmt.Errorf("%d of %d requests have evidence that was changed", broken, len(result.Requests))
	}
	return nil
}

func (r audited) plain(w io.Writer) error {
	var out strings.Builder
	for _, report := range r.Requests {
		state, verdict := "open, its tails not sealed yet", "intact"
		if report.Sealed {
			state = "sealed"
		}
		if !report.Intact() {
			verdict = "CHANGED"
		}
		fmt.Fprintf(&out, "%s  %d chains, %d links, %s: %s\n", report.RequestID, len(report.Chains), report.Links(), state, verdict)
		for _, p := range report.Problems {
			fmt.Fprintf(&out, "  %s\n", p)
		}
		for _, chain := range report.Chains {
			for _, p := range chain.Problems {
				fmt.Fprintf(&out, "  chain %s: %s\n", chain.Name, p)
			}
		}
	}
	fmt.Fprintf(&out, "%d requests checked.\n", len(r.Requests))
	_, err := io.WriteString(w, out.String())
	return err
}

// openEvidence opens the ledger of a company's stack, or of the tables that the
// environment names, with the caller's own credentials.
func openEvidence(ctx context.Context, company string) (evidence, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return evidence{}, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	names, err := namesOf(ctx, cfg, company)
	if err != nil {
		return evidence{}, err
	}
	tables := dynamo.Tables{Requests: names["TableRequests"], Tasks: names["TableTasks"], Events: names["TableEvents"]}
	client := dynamodb.NewFromConfig(cfg)
	keys := vault.New(kms.NewFromConfig(cfg), "", names["KeyMac"])
	return evidence{
		auditor: audit.New(dynamo.New(client, tables), macCheck(keys)),
		chains: func(ctx context.Context) (map[dsr.RequestID][]string, error) {
			return dynamo.Chains(ctx, client, tables)
		},
	}, nil
}

// macCheck asks the key service; what it could not tell is an error, never no.
func macCheck(keys *vault.Vault) audit.CheckMAC {
	return func(ctx context.Context, message, mac string) (bool, error) {
		err := keys.VerifyMAC(ctx, ledger.HeadPurpose, message, mac)
		if errors.Is(err, vault.ErrMAC) {
			return false, nil
		}
		return err == nil, err
	}
}

// auditNames maps the stack's outputs that the audit reads to the variables
// that may stand in for them.
var auditNames = map[string]string{
	"TableRequests": "WRIT_TABLE_REQUESTS", "TableTasks": "WRIT_TABLE_TASKS", "TableEvents": "WRIT_TABLE_EVENTS", "KeyMac": "WRIT_KEY_MAC",
}

// namesOf returns the names of the tables and the key, by the stack's outputs.
func namesOf(ctx context.Context, cfg aws.Config, company string) (map[string]string, error) {
	names, missing := map[string]string{}, []string{}
	if company == "" {
		for output, variable := range auditNames {
			if names[output] = os.Getenv(variable); names[output] == "" {
				missing = append(missing, variable)
			}
		}
		if len(missing) > 0 {
			slices.Sort(missing)
			return nil, usage("give --company, or set %s", strings.Join(missing, ", "))
		}
		return names, nil
	}
	stack := "Writ-" + company
	out, err := cloudformation.NewFromConfig(cfg).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &stack})
	if err != nil {
		return nil, fmt.Errorf("reading the outputs of stack %s: %w", stack, err)
	}
	for _, s := range out.Stacks {
		for _, o := range s.Outputs {
			names[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
		}
	}
	for output := range auditNames {
		if names[output] == "" {
			missing = append(missing, output)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return nil, fmt.Errorf("reading the outputs of stack %s: %s is not there; is this stack Writ's?", stack, strings.Join(missing, ", "))
	}
	return names, nil
}
