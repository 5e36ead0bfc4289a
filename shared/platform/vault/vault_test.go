package vault_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"pgregory.net/rapid"

	"github.com/writ-dsr/writ/shared/dsr"
	"github.com/writ-dsr/writ/shared/dsr/dsrtest"
	"github.com/writ-dsr/writ/shared/ledger/dossier"
	"github.com/writ-dsr/writ/shared/platform/vault"
)

var _ dossier.Keys = (*vault.Vault)(nil)

const (
	request dsr.RequestID = "waaaaaaaaaaaaaaaaaaaaaaaaa"
	other   dsr.RequestID = "wbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// rules are checked on the vault in this process and, with a key service at
// hand, on the real client.
var rules = map[string]func(*testing.T, *vault.Vault){
	"what is sealed opens in its place only": func(t *testing.T, v *vault.Vault) {
		box, wrapped, err := v.NewBox(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		again, err := v.OpenBox(t.Context(), request, wrapped)
		if err != nil {
			t.Fatal(err)
		}
		rapid.Check(t, func(t *rapid.T) {
			plain := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "plain")
			about := rapid.String().Draw(t, "about")
			elsewhere := rapid.String().Filter(func(s string) bool { return s != about }).Draw(t, "elsewhere")
			sealed := box.Seal(plain, about)
			opened, err := again.Open(sealed, about)
			if err != nil || !bytes.Equal(opened, plain) {
				t.Fatalf("opening in its place: %v", err)
			}
			if _, err := again.Open(sealed, elsewhere); !errors.Is(err, vault.ErrSealed) {
				t.Fatalf("opening in another place: %v", err)
			}
			broken := bytes.Clone(sealed)
			broken[rapid.IntRange(0, len(broken)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			if _, err := again.Open(broken, about); !errors.Is(err, vault.ErrSealed) {
				t.Fatalf("opening with one bit changed: %v", err)
			}
			if _, err := again.Open(sealed[:rapid.IntRange(0, len(sealed)-1).Draw(t, "cut")], about); !errors.Is(err, vault.ErrSealed) {
				t.Fatalf("opening what was cut: %v", err)
			}
			if len(plain) > 8 && bytes.Contains(sealed, plain) {
				t.Fatal("the sealed value shows the plain one")
			}
		})
		if bytes.Equal(box.Seal([]byte("x"), ""), box.Seal([]byte("x"), "")) {
			t.Error("sealing the same value twice gives the same bytes")
		}
	},
	"a key opens for its own request only": func(t *testing.T, v *vault.Vault) {
		_, wrapped, err := v.NewBox(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.OpenBox(t.Context(), other, wrapped); err == nil {
			t.Error("the key of one request opened for another")
		}
		if _, err := v.OpenBox(t.Context(), request, []byte("not a wrapped key")); err == nil {
			t.Error("something that is no wrapped key opened")
		}
	},
	"keys of two requests differ": func(t *testing.T, v *vault.Vault) {
		a, _, err := v.NewBox(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		b, _, err := v.NewBox(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Open(a.Seal([]byte("x"), ""), ""); !errors.Is(err, vault.ErrSealed) {
			t.Errorf("a box of one key opened what another sealed: %v", err)
		}
	},
	"a hash is stable, versioned and of one purpose": func(t *testing.T, v *vault.Vault) {
		seen := map[string]string{}
		for _, in := range [][2]string{
			{"identity", dsrtest.Ada.Email}, {"suppression", dsrtest.Ada.Email}, {"identity", dsrtest.AdaUpper.Email},
			{"identity", ""}, {"", "identity"}, {"identityx", "y"}, {"identity", "xy"}, {"identity", strings.Repeat("z", 100_000)},
		} {
			var hashes [2]string
			for i := range hashes {
				h, err := v.Hash(t.Context(), in[0], in[1])
				if err != nil {
					t.Fatal(err)
				}
				hashes[i] = h
			}
			if hashes[0] != hashes[1] || !strings.HasPrefix(hashes[0], "h1:") || len(hashes[0]) != 3+43 {
				t.Errorf("hashes for %q are %q and %q", in[0], hashes[0], hashes[1])
			}
			if before, taken := seen[hashes[0]]; taken {
				t.Errorf("two inputs have one hash: %q and %q", before, in[0])
			}
			seen[hashes[0]] = in[0]
		}
	},
	"a MAC fits its message and purpose only": func(t *testing.T, v *vault.Vault) {
		mac, err := v.MAC(t.Context(), "head", "chain head")
		if err != nil {
			t.Fatal(err)
		}
		if err := v.VerifyMAC(t.Context(), "head", "chain head", mac); err != nil {
			t.Error(err)
		}
		hash, err := v.Hash(t.Context(), "head", "chain head")
		if err != nil {
			t.Fatal(err)
		}
		for name, args := range map[string][3]string{
			"another message":  {"head", "chain heat", mac},
			"another purpose":  {"tail", "chain head", mac},
			"moved border":     {"headc", "hain head", mac},
			"a changed MAC":    {"head", "chain head", flip(mac)},
			"a hash":           {"head", "chain head", "m1:" + strings.TrimPrefix(hash, "h1:")},
			"no version":       {"head", "chain head", strings.TrimPrefix(mac, "m1:")},
			"nothing":          {"head", "chain head", ""},
			"the version only": {"head", "chain head", "m1:"},
		} {
			if err := v.VerifyMAC(t.Context(), args[0], args[1], args[2]); !errors.Is(err, vault.ErrMAC) {
				t.Errorf("%s: got %v, want ErrMAC", name, err)
			}
		}
	},
}

// flip changes one letter in the middle of a MAC.
func flip(mac string) string {
	b := []byte(mac)
	if b[20]++; b[20] == '{' || b[20] == '[' || b[20] == ':' || b[20] == '`' || b[20] == '.' {
		b[20] = 'B'
	}
	return string(b)
}

func TestLocal(t *testing.T) {
	for name, rule := range rules {
		t.Run(name, func(t *testing.T) { rule(t, vault.NewLocal("test")) })
	}
}

func TestLocalSeeds(t *testing.T) {
	a, same, b := vault.NewLocal("a"), vault.NewLocal("a"), vault.NewLocal("b")
	hash := func(v *vault.Vault) string {
		h, err := v.Hash(t.Context(), "identity", dsrtest.Ada.Email)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	if hash(a) != hash(same) || hash(a) == hash(b) {
		t.Error("hashes do not depend on the seed alone")
	}
	_, wrapped, err := a.NewBox(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := same.OpenBox(t.Context(), request, wrapped); err != nil {
		t.Errorf("a vault of the same seed does not open a box: %v", err)
	}
	if _, err := b.OpenBox(t.Context(), request, wrapped); err == nil {
		t.Error("a vault of another seed opens a box")
	}
}

// failing is a key service that is down, or answers too short.
type failing struct {
	vault.KMS
	err error
}

func (f failing) GenerateDataKey(context.Context, *kms.GenerateDataKeyInput, ...func(*kms.Options)) (*kms.GenerateDataKeyOutput, error) {
	return &kms.GenerateDataKeyOutput{Plaintext: make([]byte, 16)}, f.err
}

func (f failing) Decrypt(context.Context, *kms.DecryptInput, ...func(*kms.Options)) (*kms.DecryptOutput, error) {
	return &kms.DecryptOutput{Plaintext: make([]byte, 16)}, f.err
}

func (f failing) GenerateMac(context.Context, *kms.GenerateMacInput, ...func(*kms.Options)) (*kms.GenerateMacOutput, error) {
	return &kms.GenerateMacOutput{Mac: make([]byte, 16)}, f.err
}

func (f failing) VerifyMac(context.Context, *kms.VerifyMacInput, ...func(*kms.Options)) (*kms.VerifyMacOutput, error) {
	return &kms.VerifyMacOutput{MacValid: false}, f.err
}

func TestFailsClosed(t *testing.T) {
	mac, err := vault.NewLocal("a").MAC(t.Context(), "head", "x")
	if err != nil {
		t.Fatal(err)
	}
	down := errors.New("the key service is down")
	for _, cause := range []error{down, nil} {
		v := vault.New(failing{err: cause}, "data", "mac")
		box, wrapped, boxErr := v.NewBox(t.Context(), request)
		opened, openErr := v.OpenBox(t.Context(), request, []byte("x"))
		hash, hashErr := v.Hash(t.Context(), "identity", dsrtest.Ada.Email)
		made, macErr := v.MAC(t.Context(), "head", dsrtest.Ada.Email)
		checkErr := v.VerifyMAC(t.Context(), "head", dsrtest.Ada.Email, mac)
		for name, err := range map[string]error{"NewBox": boxErr, "OpenBox": openErr, "Hash": hashErr, "MAC": macErr, "VerifyMAC": checkErr} {
			if err == nil || (cause != nil && !errors.Is(err, cause)) {
				t.Errorf("%s: got %v, want an error about %v", name, err, cause)
				continue
			}
			for _, canary := range dsrtest.Canaries() {
				if strings.Contains(err.Error(), canary) {
					t.Errorf("%s: the error repeats a personal value", name)
				}
			}
		}
		if box != nil || wrapped != nil || opened != nil || hash != "" || made != "" {
			t.Error("a failing key service left a result behind")
		}
	}
}
