//go:build e2e

package vault_test

import (
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/writ-dsr/writ/shared/platform/vault"
)

// TestKMS holds the rules on the key service's own API.
func TestKMS(t *testing.T) {
	endpoint := os.Getenv("AWS_ENDPOINT_URL")
	if endpoint == "" {
		t.Fatal("AWS_ENDPOINT_URL is not set: start an emulator and set it to its address")
	}
	client := kms.New(kms.Options{
		Region: "us-east-1", BaseEndpoint: &endpoint,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	key := func(in *kms.CreateKeyInput) string {
		out, err := client.CreateKey(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return *out.KeyMetadata.KeyId
	}
	data := key(&kms.CreateKeyInput{})
	mac := key(&kms.CreateKeyInput{KeySpec: types.KeySpecHmac256, KeyUsage: types.KeyUsageTypeGenerateVerifyMac})
	for name, rule := range rules {
		t.Run(name, func(t *testing.T) { rule(t, vault.New(client, data, mac)) })
	}
}
