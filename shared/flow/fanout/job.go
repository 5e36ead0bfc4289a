package fanout

import (
	"slices"
	"strings"

	"github.com/writ-dsr/writ/shared/connector"
	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/policy"
)

// job is what a person's task asks for; its page, its mail and the answers it
// takes follow from it.
type job string

// The jobs.
const (
	findJob    job = "find"    // look, and add what is there to the copy
	eraseJob   job = "erase"   // and look again that it is gone
	correctJob job = "correct" // write new values into fields
	stopJob    job = "stop"    // mark the data, or end a purpose
	tellJob    job = "tell"    // send a recipient the notice
	readJob    job = "read"    // read the person's words and answer them
)

// jobs are what a visit asks of a person, in the order they are done. The last
// names the task: what is marked first is marked for its sake.
func jobs(v dsr.Visit) []job {
	switch {
	case v.Recipient != "":
		return []job{tellJob}
	case v.System == dsr.Officer:
		return []job{readJob}
	case v.Phase == dsr.Gather:
		return []job{findJob}
	}
	var all []job
	for _, op := range v.Ops {
		switch {
		case op == dsr.Suppress && (v.Manual || len(v.Purposes) > 0):
			all = append(all, stopJob)
		case op == dsr.Rectify:
			all = append(all, correctJob)
		case op == dsr.Erase:
			all = append(all, eraseJob)
		}
	}
	return all
}

// mainJob is the job that names the task.
func mainJob(v dsr.Visit) job {
	all := jobs(v)
	if len(all) == 0 {
		return findJob
	}
	return all[len(all)-1]
}

// words are the title of a job's page and its opening sentence; SYSTEM stands
// for the system's name.
var words = map[job][2]string{
	findJob:    {"Find the person's data", "Look for this person in SYSTEM and answer below."},
	eraseJob:   {"Erase the person's data", "Erase this person's data in SYSTEM and answer below."},
	correctJob: {"Correct the person's data", "Write the new values into this person's data in SYSTEM and answer below."},
	stopJob:    {"Stop a use of the person's data", "Mark this person's data in SYSTEM so that they are not used as said below, and answer."},
	tellJob:    {"Tell a recipient", "Send the notice below to SYSTEM, and say here that it is sent."},
	readJob:    {"Answer the person's own words", "Read what the person wrote, answer them by mail, and say here that it is done."},
}

func (j job) title() string { return words[j][0] }

func (j job) lead(system string) string { return strings.ReplaceAll(words[j][1], "SYSTEM", system) }

// done is the answer that says the work is done.
func (j job) done() string {
	switch j {
	case eraseJob:
		return "I erased it, and looked again that it is gone"
	case correctJob:
		return "I corrected it, and looked again that it reads so"
	case stopJob:
		return "It is marked, and nobody uses it so any more"
	case tellJob:
		return "I sent the notice"
	case readJob:
		return "I answered the person"
	}
	return "It is done"
}

// answers are the words that the task of a visit takes.
func answers(v dsr.Visit) []string {
	var all []string
	switch mainJob(v) {
	case tellJob:
		return append([]string{connector.AnswerDone}, connector.Reasons()...)
	case readJob:
		return []string{connector.AnswerDone, connector.AnswerCannot}
	case findJob:
		all = append(all, connector.AnswerUploaded)
	}
	all = append(all, connector.AnswerNothingHeld, connector.AnswerDone, connector.AnswerCannot)
	if !v.Manual {
		all = append(all, connector.AnswerAgain)
	}
	return all
}

// uses say what must end for each purpose.
var uses = map[dsr.Purpose]string{
	dsr.Marketing:   "Send no advertising and make no profile for it.",
	dsr.Sale:        "Do not sell the data and do not share them for advertising.",
	dsr.TargetedAds: "Show no advertising that rests on what the person did elsewhere.",
	dsr.Profiling:   "Make no profile of the person and do not track them.",
	dsr.Sensitive:   "Use the sensitive data for nothing but what the person asked for.",
	dsr.Consent:     "Stop everything that the person had agreed to and has now taken back.",
	dsr.Objected:    "Stop what rests on our own interest until the objection is weighed.",
	dsr.Storage:     "Keep the data and use them for nothing else (a restriction).",
	dsr.AllUse:      "Use the data for nothing any more.",
}

// usesOf are the sentences for the purposes of a visit.
func usesOf(v dsr.Visit) []string {
	var all []string
	for _, p := range v.Purposes {
		all = append(all, uses[p])
	}
	return all
}

// reading says what a right that a person answers asks of that person.
var reading = map[dsr.Right]string{
	dsr.OptIn:             "The person wants an opt-out undone. Ask them to confirm it a second time, then lift it.",
	dsr.HumanReview:       "Look yourself at the decision that a computer made, hear the person, and tell them what you decide and why.",
	dsr.PublicationChange: "The person wants something that we published changed or taken down. Look at it, do so where it is theirs or wrong, and tell them.",
	dsr.Inquiry:           "The person asks about their privacy. Answer the question.",
	dsr.ChildReport:       "Somebody reports that we hold data of a child. Find out whether it is so, erase what we may not hold, and tell them only that we looked.",
	dsr.Appeal:            "The person appeals against an answer of ours. Look at the request again from the start, and tell them what you decide, why, and whom they can turn to next.",
	dsr.Complaint:         "The person complains about how we handled their data. Find out what happened, and tell them what we do about it.",
	dsr.BalancingTest:     "The person wants to know why our interest outweighs theirs. Send them how we weighed it.",
	dsr.TransferMechanism: "The person wants a copy of what protects their data in another country. Send it, without business secrets.",
}

// readings are the sentences for the rights of a visit: the pack's own where it
// has one for the person who answers.
func readings(c *policy.Company, v dsr.Visit) []string {
	var all []string
	for _, r := range v.Rights {
		switch {
		case reading[r] != "":
			all = append(all, reading[r])
		case r.Stops() != "":
			all = append(all, uses[r.Stops()]+" No system of the plan says that it does this; please look, and tell the person.")
		default:
			continue
		}
		if i := slices.IndexFunc(c.Requests, func(q policy.Request) bool { return q.Right == r }); i >= 0 {
			all = append(all, "What we promise: "+c.Requests[i].Says)
		}
	}
	return all
}

// fieldNames are the plain words of the fields that people correct most.
var fieldNames = map[string]string{
	"name": "name", "email": "mail address", "phone": "phone number", "address": "postal address", "birth_date": "date of birth", "address.line1": "street", "address.line2": "street, second line", "address.city": "town",
	"address.state": "state", "address.postal_code": "postcode", "address.country": "country",
}

// fieldName is a field in plain words.
func fieldName(field string) string {
	if name, ok := fieldNames[field]; ok {
		return name
	}
	return strings.NewReplacer("_", " ", ".", " ").Replace(field)
}
