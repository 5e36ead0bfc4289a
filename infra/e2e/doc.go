// Package e2e proves the product from outside: people fill the form, read
// mail, type codes and download; employees answer tasks; vendors break. Everything
// runs on one stand: the emulator of AWS with IAM enforced, a real PostgreSQL
// server and the vendors' fakes.
//
//	make e2e
//
// The tests carry the build tag e2e. Each one brings its own people, so that
// they run side by side; whoever moves the clock of the whole deployment
// (Suite.SweepAt) runs alone.
package e2e
