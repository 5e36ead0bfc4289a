package dsr

import (
	"fmt"
	"slices"
	"strings"
)

// Right is one of the things a person may ask for, by law or because a company
// promised it. The wire names are stable.
type Right string

// The rights that Writ carries out. Which of them a person has is a question
// to their law and to the company's pack.
const (
	Access             Right = "access"              // GDPR Art. 15; CCPA know, specific pieces
	Portability        Right = "portability"         // GDPR Art. 20
	DirectTransfer     Right = "direct_transfer"     // GDPR Art. 20(2): to another controller
	KnowCategories     Right = "know_categories"     // CCPA 1798.110, .115
	ConfirmProcessing  Right = "confirm_processing"  // LGPD Art. 18 I; the US states' common rule
	Recipients         Right = "recipients"          // who received the data (GDPR Art. 15(1)(c), 19)
	WhichProcessors    Right = "which_processors"    // what services a company uses
	ShineTheLight      Right = "shine_the_light"     // California Civil Code 1798.83
	BalancingTest      Right = "balancing_test"      // the weighing behind a legitimate interest
	TransferMechanism  Right = "transfer_mechanism"  // a copy of the safeguards of a transfer (GDPR Art. 13(1)(f))
	Rectification      Right = "rectification"       // GDPR Art. 16; CCPA correct
	Erasure            Right = "erasure"             // GDPR Art. 17; CCPA delete
	AnonymiseBlock     Right = "anonymise_block"     // LGPD Art. 18 IV
	Restriction        Right = "restriction"         // GDPR Art. 18
	Objection          Right = "objection"           // GDPR Art. 21(1)
	ObjectionMarketing Right = "objection_marketing" // GDPR Art. 21(2)
	ConsentWithdrawal  Right = "consent_withdrawal"  // GDPR Art. 7(3)
	OptOutOfSale       Right = "opt_out_of_sale"     // CCPA 1798.120
	OptOutTargetedAds  Right = "opt_out_targeted_ads"
	OptOutProfiling    Right = "opt_out_profiling"
	ProfilingOff       Right = "profiling_off"   // a company's promise to turn profiling and tracking off
	LimitSensitive     Right = "limit_sensitive" // CCPA 1798.121
	Preferences        Right = "preferences"     // which notifications to send
	OptIn              Right = "opt_in"          // undoing an opt-out
	HumanReview        Right = "human_review"    // GDPR Art. 22
	PublicationChange  Right = "publication_change"
	Inquiry            Right = "inquiry"
	ChildReport        Right = "child_report" // somebody reports data of a child
	Appeal             Right = "appeal"       // US states: against a denial
	Complaint          Right = "complaint"    // to the controller (UK DPA 2018 s.164A)
)

// Means is how a right is carried out.
type Means string

// The means.
const (
	ByCopy      Means = "copy"      // the data go to the person
	ByStatement Means = "statement" // the person is told about the data; none are sent
	ByChange    Means = "change"    // named fields are corrected
	ByRemoval   Means = "removal"   // data are erased or made anonymous
	ByMark      Means = "mark"      // data stay and are marked: not otherwise used
	ByStop      Means = "stop"      // a purpose is stopped: reversible, so no proof is asked
	ByPerson    Means = "person"    // a person of the company reads and answers
)

var means = map[Right]Means{
	Access: ByCopy, Portability: ByCopy, DirectTransfer: ByCopy,
	KnowCategories: ByStatement, ConfirmProcessing: ByStatement, Recipients: ByStatement, WhichProcessors: ByStatement, ShineTheLight: ByStatement,
	Rectification: ByChange,
	Erasure:       ByRemoval, AnonymiseBlock: ByRemoval,
	Restriction: ByMark, Objection: ByMark,
	ObjectionMarketing: ByStop, ConsentWithdrawal: ByStop, OptOutOfSale: ByStop, OptOutTargetedAds: ByStop, OptOutProfiling: ByStop, ProfilingOff: ByStop, LimitSensitive: ByStop, Preferences: ByStop,
	OptIn: ByPerson, HumanReview: ByPerson, PublicationChange: ByPerson, Inquiry: ByPerson, ChildReport: ByPerson, Appeal: ByPerson, Complaint: ByPerson, BalancingTest: ByPerson, TransferMechanism: ByPerson,
}

// stops is what each right of ByStop and ByMark stops.
var stops = map[Right]Purpose{
	ObjectionMarketing: Marketing, Preferences: Marketing, ConsentWithdrawal: Consent, OptOutOfSale: Sale, OptOutTargetedAds: TargetedAds,
	OptOutProfiling: Profiling, ProfilingOff: Profiling, LimitSensitive: Sensitive, Restriction: Storage, Objection: Objected,
}

// Rights lists every right, sorted by wire name.
func Rights() []Right {
	all := make([]Right, 0, len(means))
	for r := range means {
		all = append(all, r)
	}
	slices.Sort(all)
	return all
}

// ParseRight returns the right with wire name s, or an error naming s.
func ParseRight(s string) (Right, error) {
	if _, ok := means[Right(s)]; ok {
		return Right(s), nil
	}
	names := make([]string, 0, len(means))
	for _, r := range Rights() {
		names = append(names, string(r))
	}
	return "", fmt.Errorf("unknown right %q: known are %s", s, strings.Join(names, ", "))
}

// Means returns how the right is carried out.
func (r Right) Means() Means { return means[r] }

// Stops returns the purpose that the right stops; "" for a right that stops none.
func (r Right) Stops() Purpose { return stops[r] }

// Proofless reports whether nobody may ask for proof beyond finding the record:
// what the right does can be undone (CCPA 7026, 7027; GDPR Art. 7(3), 21(2)).
func (r Right) Proofless() bool { return r.Means() == ByStop }

// Wants reports whether any of the rights is carried out by one of the means.
func Wants(rights []Right, by ...Means) bool {
	return slices.ContainsFunc(rights, func(r Right) bool { return slices.Contains(by, r.Means()) })
}
