// Package connectortest holds the laws every connector obeys, whatever its
// vendor. A vendor's test is one call:
//
//	func TestConformance(t *testing.T) {
//		connectortest.Run(t, connectortest.Suite{
//			Descriptor: descriptor,
//			Transport:  connectortest.HTTP,
//			Store:      func(t testing.TB) connectortest.Store { return stripefake.New() },
//			New: func(t testing.TB, env connectortest.Env) connector.Connector {
//				c, err := stripe.New(env.Config)
//				if err != nil {
//					t.Fatal(err)
//				}
//				return c
//			},
//		})
//	}
//
// Each law is one subtest on a fresh store. A law that cannot hold yet is named
// in Suite.Waivers with its reason; a waiver whose law passes is an error, so
// that no waiver outlives its cause. What a store cannot act out is named in
// Suite.Lacks; a law that needs it then says that it does not apply.
//
// The kit is itself tested: its reference connector has one bug per law to
// switch on, and the test proves that exactly the law meant for it fails.
package connectortest
