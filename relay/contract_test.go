package relay_test

import (
	"testing"

	"go.uber.org/goleak"

	"rtpjet/relay"
	"rtpjet/relay/relaytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestContract(t *testing.T) {
	relaytest.Contract(t, func(cfg relay.Config) (relay.Engine, error) { return relay.New(cfg) })
}

func TestContractPortable(t *testing.T) {
	relaytest.Contract(t, func(cfg relay.Config) (relay.Engine, error) { return relay.NewPortable(cfg) })
}
