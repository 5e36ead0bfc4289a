// Package policy holds the law and a company's promises as data, and decides
// from them: which systems are visited in which order, when an answer is due,
// and on which ground something may be kept. It is pure: no AWS, no clock, no
// network; the same files and the same question give the same answer.
//
// The data are TOML files a lawyer can read: regimes/*.toml (the law) and
// companies/<id>/{policy,systems}.toml (the company). They are decoded
// strictly; every fault names its file, line and key.
package policy
