package policy

// The kinds of notice: everything Writ writes to a person, a recipient or an
// authority. Rules, packs and templates name them by these words.
const (
	NoticeAcknowledge     = "acknowledge" // every intake
	NoticeChallenge       = "challenge"   // proof of the mailbox; it is an acknowledgement too
	NoticeReminder        = "reminder"    // the challenge, once more
	NoticeIdentity        = "identity_question"
	NoticeClarification   = "clarification"
	NoticeEraseConfirm    = "erase_confirm"
	NoticeExtension       = "extension"
	NoticeAccess          = "access"
	NoticePortability     = "portability"
	NoticeStatement       = "statement" // categories, recipients, processors, Shine the Light
	NoticeErasure         = "erasure"
	NoticeRectification   = "rectification"
	NoticeAddressChanged  = "address_changed" // to the old and the new address
	NoticeRestriction     = "restriction"
	NoticeLifting         = "lifting" // before a restriction is lifted
	NoticeOptOut          = "opt_out" // opt-out, objection, consent withdrawn
	NoticeAnswer          = "answer"  // any other outcome, and what a person of the company did
	NoticeRefusal         = "refusal"
	NoticeReferral        = "referral"
	NoticeRecipient       = "recipient" // Art. 19, 7022(b)
	NoticeAgent           = "agent"
	NoticeParent          = "parent"
	NoticeChildReport     = "child_report"
	NoticeUnverified      = "unverified"
	NoticeWithdrawn       = "withdrawn"
	NoticeBreachSubject   = "breach_subject"
	NoticeBreachAuthority = "breach_authority"
	NoticeLegalProcess    = "legal_process"
	NoticePolicyChange    = "policy_change"
)

// Notices lists every kind.
func Notices() []string {
	return []string{
		NoticeAcknowledge, NoticeChallenge, NoticeReminder, NoticeIdentity, NoticeClarification, NoticeEraseConfirm, NoticeExtension, NoticeAccess,
		NoticePortability, NoticeStatement, NoticeErasure, NoticeRectification, NoticeAddressChanged, NoticeRestriction, NoticeLifting, NoticeOptOut,
		NoticeAnswer, NoticeRefusal, NoticeReferral, NoticeRecipient, NoticeAgent, NoticeParent, NoticeChildReport, NoticeUnverified,
		NoticeWithdrawn, NoticeBreachSubject, NoticeBreachAuthority, NoticeLegalProcess, NoticePolicyChange,
	}
}
